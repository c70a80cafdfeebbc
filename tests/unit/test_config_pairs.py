"""Pairs in the configuration: what they make of views and selections, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from refusals import at
from starglot.config import queries
from starglot.config.checks import cross_check
from starglot.config.load import merge, read_config
from starglot.config.models import Config
from starglot.config.picked import picked


@pytest.fixture(scope="module")
def raw(project: Path) -> dict[str, Any]:
    """config/pairs.yaml on the demo."""
    merged: dict[str, Any] = {}
    for name in ("config", "demo", "pairs"):
        merged = merge(merged, yaml.safe_load((project / f"config/{name}.yaml").read_text()))
    return merged


def configured(raw: dict[str, Any], **over: Any) -> Config:
    return Config.model_validate(merge(raw, over))


def test_pairs_bring_their_views_and_every_star_that_both_surveys_have(raw: dict[str, Any]) -> None:
    config = configured(raw)
    assert cross_check(config) == [] and config.views == ["lamost/blue", "gaia_xp/xp"]
    assert queries.label_surveys(config, "gaia_xp") == ["lamost"]
    assert queries.label_surveys(config, "lamost") == ["apogee", "gaia_xp"]
    assert queries.wanted_spectra(config, "gaia_xp") == [{"labels": [], "counts": {"all": 0}}]


def test_pairs_that_nothing_uses_change_nothing(raw: dict[str, Any], project: Path) -> None:
    config, without = configured(raw, run={"pairs": []}), configured(raw, run={"pairs": []}, pairs={})
    assert config.views == without.views == ["lamost/blue"]
    for survey in ("lamost", "gaia_xp"):
        assert queries.label_surveys(config, survey) == queries.label_surveys(without, survey)
        assert queries.wanted_spectra(config, survey) == queries.wanted_spectra(without, survey)
    paper = read_config(project / "config/config.yaml")
    assert paper.pairs == {} and paper.used_pairs == []


def test_a_job_of_pairs_depends_on_no_label(raw: dict[str, Any]) -> None:
    more = {
        "two": {**raw["tasks"]["lamost_blue"], "question": {"form": "atmosphere", "labels": ["teff", "alpha_fe"]}}
    }
    configs = (configured(raw), configured(raw, tasks=more, run={"tasks": ["lamost_blue", "two"]}))
    one, two = (picked(config, {"pairs": "lamost_xp"}) for config in configs)
    assert one["LABELS"] == two["LABELS"] and one["FORMS"] == two["FORMS"] == ()


def test_what_cannot_be_paired_is_said(raw: dict[str, Any]) -> None:
    def faults(**over: Any) -> list[str]:
        return cross_check(configured(raw, **over))

    views = "pairs.lamost_xp.views"
    assert at(faults(pairs={"lamost_xp": {"views": ["lamost/blue", "gaia/xp"]}}), views, "gaia", "gaia_xp")
    assert at(faults(pairs={"lamost_xp": {"views": ["lamost/blues", "gaia_xp/xp"]}}), views, "blues", "blue")
    assert at(faults(pairs={"lamost_xp": {"views": ["lamost/blue", "lamost/paper"]}}), views, "lamost")
    assert at(faults(run={"pairs": ["lamost_px"]}), "run.pairs", "lamost_px", "lamost_xp")
    assert at(faults(surveys={"gaia_xp": None}), "pairs.lamost_xp", "gaia_xp")
    wide = {"wide": {"wavelength": {"start": 3000, "stop": 10200, "step": 20}}}
    assert at(
        faults(recipes=wide, pairs={"other": {"views": ["lamost/blue", "gaia_xp/wide"]}}), "recipes.wide.wavelength"
    )
