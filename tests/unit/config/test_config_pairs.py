"""Pairs in the configuration: what they make of views and selections, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from refusals import at
from starglot.config import embeddings, queries
from starglot.config.checks.across_keys import cross_check
from starglot.config.kinds.registry import bases_made_of
from starglot.config.load import merge, read_config
from starglot.config.picked import picked
from starglot.config.root import Config


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
    config = configured(raw, run={"bases": []})
    without = configured({**raw, "pairs": {}, "bases": {}}, run={"bases": []})
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


def test_an_aligned_base_brings_its_pairs_and_picks_its_encoders(raw: dict[str, Any]) -> None:
    config = configured(raw, run={"bases": ["clip"]})
    assert config.used_pairs == ["lamost_xp"] and cross_check(config) == []
    assert configured(raw, run={"bases": []}).used_pairs == []
    job = picked(config, {"base": "clip"})
    assert job["ENCODERS"] == job["READINGS"] == ("autoencoder", "masked_encoder") and job["BASES"] == ("aligned",)
    assert config.bases["split"].own == 32 and config.bases["clip"].scale == 15.5


def test_encoders_that_do_not_fit_the_pairs_are_said(raw: dict[str, Any]) -> None:
    def faults(**clip: Any) -> list[str]:
        return cross_check(configured(raw, bases={"clip": clip}))

    assert at(faults(encoders=["xp", "lrs"]), "bases.clip.encoders", "xp", "lamost/blue")
    assert at(faults(encoders=["lrs", "px"]), "bases.clip.encoders", "px", "xp")
    assert at(faults(encoders=["lrs", "split"]), "bases.clip.encoders", "split", "lrs")
    assert at(faults(pairs="lamost_px"), "bases.clip.pairs", "lamost_px", "lamost_xp")
    assert at(faults(shared=30), "bases.clip.shared", 30, 4)
    assert at(faults(own=31), "bases.clip.own", 31, 2)
    assert at(cross_check(configured(raw, run={"bases": ["lrs"]})), "run.bases", "lrs", "masked_encoder", "aligned")
    assert at(cross_check(configured(raw, run={"bases": ["clop"]})), "run.bases", "clop", "clip")
    after = {"clip": {}, "after": {**raw["bases"]["clip"], "init": "clip", "shared": 32}}
    assert at(cross_check(configured(raw, bases=after)), "bases.after.shared", 32, 64)
    after["after"] |= {"shared": 64, "init": "lrs"}
    assert at(cross_check(configured(raw, bases=after)), "bases.after.init", "lrs", "clip")
    assert at(faults(transfer={"strategy": "lora"}), "bases.clip.transfer", "init")


def test_a_model_on_an_aligned_pair_brings_all_that_stands_below(raw: dict[str, Any]) -> None:
    on_it = {"kind": "mlp", "base": "after", "gpus": 0}
    after = {**raw["bases"]["split"], "init": "split", "transfer": {"strategy": "lora"}}
    over = {"models": {"on-it": on_it, "flat": {"kind": "ridge", "base": "after"}}, "bases": {"after": after}}
    config = configured(raw, **over, run={"bases": [], "models": ["ridge", "on-it", "flat"]})
    assert cross_check(config) == [] and config.used_pairs == ["lamost_xp"] and "gaia_xp/xp" in config.views
    assert embeddings.bases_under(config, "lamost_blue", "on-it") == ["lrs", "xp"]
    assert embeddings.embedding_view(config, "lamost_blue", "on-it.s1") == "lamost/blue"
    assert embeddings.embedding_view(config, "lamost_blue", "ridge") is None
    job = picked(config, {"task": "lamost_blue", "model": "flat", "size": "all"})
    assert job["ENCODERS"] == job["EMBEDDERS"] == ("aligned", "autoencoder", "masked_encoder")
    assert picked(config, {"task": "lamost_blue", "model": "ridge", "size": "all"})["EMBEDDERS"] == ()


def test_a_model_that_does_not_fit_its_pair_is_said(raw: dict[str, Any]) -> None:
    def faults(**model: Any) -> list[str]:
        on_it = {"on-it": {"kind": "ridge", "base": "clip", **model}}
        return cross_check(configured(raw, models=on_it, run={"models": ["on-it"]}))

    assert faults() == []
    assert at(faults(bin=5), "models.on-it", "bin")
    other = {"clip": {"pairs": "other", "encoders": ["xp", "again"]}, "again": raw["bases"]["xp"]}
    assert at(
        cross_check(
            configured(
                raw,
                bases=other,
                pairs={"other": {"views": ["gaia_xp/xp", "desi/xp"]}},
                models={"on-it": {"kind": "ridge", "base": "clip"}},
                run={"models": ["on-it"]},
            )
        ),
        "models.on-it.base",
        "lamost_blue",
        "gaia_xp/xp",
    )


def test_each_kind_of_base_says_what_it_needs(raw: dict[str, Any]) -> None:
    bases = configured(raw).bases
    assert bases_made_of(bases, "pairs") == ["clip", "split"] and bases_made_of(bases, "spectra") == ["lrs", "xp"]
    assert bases_made_of(bases, "questions") == ["tiny"]
    assert [name for name, base in bases.items() if base.needs is None] == ["random"]
