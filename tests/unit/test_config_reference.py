"""The generated reference: complete, and readable without the code."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from starglot.config.load import merge
from starglot.config.reference import meaning, reference_markdown, schema_json, sections


def test_every_key_says_what_it_means() -> None:
    silent = [
        f"{path}.{name}" for path, model in sections() for name, f in model.model_fields.items() if not meaning(f)
    ]
    assert silent == []


def test_every_key_has_a_row_with_default_and_allowed_values() -> None:
    text = reference_markdown()
    for path, model in sections():
        title = f"## `{path}`" if path else "## Top level"
        part = text[text.index(title) :]
        for name in model.model_fields:
            assert f"| `{name}` | " in part, f"{path}.{name}"
    assert "| `rank` | `64` | whole number, at least 1, at most 1024 |" in text
    assert '| `interpolation` | `"cubic"` | `cubic`, `linear` |' in text


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
