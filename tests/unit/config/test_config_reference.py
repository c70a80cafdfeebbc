"""The generated reference: complete, and readable without the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from starglot.config.load import merge
from starglot.config.reference import meaning, reference_pages, schema_json, sections


def test_every_key_says_what_it_means() -> None:
    silent = [
        f"{path}.{name}" for path, model in sections() for name, f in model.model_fields.items() if not meaning(f)
    ]
    assert silent == []


def test_every_key_has_a_row_with_default_and_allowed_values() -> None:
    pages = reference_pages()
    for path, model in sections():
        text = pages[f"reference/{path.partition('.')[0]}.md"] if path else pages["reference.md"]
        part = text[text.index(f"## `{path}`" if path else "## Top level") :]
        for name in model.model_fields:
            assert re.search(rf"^\| \[?`{name}`(\]\(reference/{name}\.md\))? \| ", part, re.M), f"{path}.{name}"
    assert "| `rank` | `64` | whole number, at least 1, at most 1024 |" in pages["reference/models.md"]
    assert '| `interpolation` | `"cubic"` | `cubic`, `linear`, `none` |' in pages["reference/recipes.md"]


def test_a_key_leads_to_its_page_and_a_page_has_only_its_own() -> None:
    pages = reference_pages()
    linked = re.findall(r"^\| \[`\w+`\]\((\S+)\)", pages["reference.md"], re.M)
    assert sorted(linked) == sorted(set(pages) - {"reference.md"}) and len(linked) > 10
    for name in linked:
        key = Path(name).stem
        assert {path.partition(".")[0] for path in re.findall(r"^## `([^`]+)`", pages[name], re.M)} == {key}


@pytest.mark.parametrize("overlay", [None, "config/demo.yaml"])
def test_the_schema_accepts_what_the_models_accept(project: Path, overlay: str | None) -> None:
    raw = yaml.safe_load((project / "config/config.yaml").read_text())
    if overlay:
        raw = merge(raw, yaml.safe_load((project / overlay).read_text()))
    jsonschema.validate(raw, json.loads(schema_json()))


def test_the_schema_refuses_unknown_keys(project: Path) -> None:
    raw = yaml.safe_load((project / "config/config.yaml").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**raw, "sed": 1}, json.loads(schema_json()))
