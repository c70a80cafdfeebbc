"""Bases that fill in patches, in the configuration: what must fit, what they stand on, and what they have seen."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from refusals import at
from starglot.config import embeddings, language_bases
from starglot.config.load import load_config, merge
from starglot.errors import StarglotError

OVERLAY = """
bases:
  filled: {kind: masked_patches, view: lamost/paper, base: random, encoding: patches, gpus: 0}
models:
  llm-filled: {kind: patch_llm, base: filled, encoding: patches}
run: {models: [llm-filled, ridge], tasks: [atmosphere], sizes: [demo]}
scaling: {tasks: [], models: null}
"""


@pytest.fixture(scope="module")
def raw(project) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for path in ("config/config.yaml", "config/demo.yaml"):
        merged = merge(merged, yaml.safe_load((project / path).read_text()))
    return merge(merged, yaml.safe_load(OVERLAY))


def faults(raw: dict[str, Any], over: str) -> list[str]:
    with pytest.raises(StarglotError) as caught:
        load_config(merge(raw, yaml.safe_load(over)))
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines() if line.startswith("  - ")]


def test_it_stands_on_a_tiny_base_and_its_spectra_count_as_seen(raw) -> None:
    config = load_config(raw)
    assert language_bases.is_tiny(config, "filled") and language_bases.is_tiny(config, "random")
    assert embeddings.bases_under(config, "atmosphere", "llm-filled") == ["filled"]


def test_a_base_from_outside_below_it_is_fetched_for_its_models(raw) -> None:
    over = "bases: {filled: {base: HuggingFaceTB/SmolLM2-135M-Instruct, revision: abc}}"
    config = load_config(merge(raw, yaml.safe_load(over)))
    found = language_bases.hub_or_folder_bases(config)
    assert found["HuggingFaceTB/SmolLM2-135M-Instruct", "abc"] == ["llm-filled"]
    assert not language_bases.is_tiny(config, "filled")
    like = """
bases:
  few: {kind: like, base: HuggingFaceTB/SmolLM2-135M-Instruct, layers: 2, weights: own}
  filled: {base: few}
"""
    config = load_config(merge(raw, yaml.safe_load(like)))
    assert language_bases.hub_or_folder_bases(config)["HuggingFaceTB/SmolLM2-135M-Instruct", None] == ["llm-filled"]


@pytest.mark.parametrize(
    ("over", "key", "named"),
    [
        ("bases: {filled: {view: lamost/papier}}", "bases.filled.view", ["papier"]),
        ("bases: {filled: {encoding: none}}", "bases.filled.encoding", ["none"]),
        ("bases: {filled: {encoding: demo}}", "bases.filled.encoding", ["demo", "patches"]),
        ("bases: {filled: {base: tiny}}", "bases.filled.base", ["tiny", "random", "like"]),
        ("bases: {filled: {base: filled}}", "bases.filled.base", ["filled", "masked_patches"]),
        ("bases: {filled: {lora: {rank: 500}}}", "bases.filled.lora.rank", [500, 128]),
        ("bases: {filled: {revision: abc}}", "bases.filled.revision", ["random"]),
        ("bases: {filled: {view: lamost/blue}}", "models.llm-filled.base", ["lamost/blue"]),
        (
            "encodings: {wide: {form: patches, width: 280}}\nbases: {filled: {encoding: wide}}",
            "models.llm-filled",
            ["wide", "patches"],
        ),
        (
            "models: {llm-filled: {kind: llm, encoding: demo}}",
            "models.llm-filled.base",
            ["filled", "patch_llm"],
        ),
    ],
)
def test_what_does_not_fit_is_refused(raw, over, key, named) -> None:
    given = merge(raw, {"recipes": {"blue": {"wavelength": {"start": 4000.0, "stop": 5500.0}}}})
    assert at(faults(given, over), key, *named)
