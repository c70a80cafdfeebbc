"""Variants of a model: 'ridge.s1', 'llm-packed.f3', 'cnn.s2.f0.x2'."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from refusals import refused
from starglot.config import queries, variants
from starglot.config.load import read_config
from starglot.config.names import SUFFIX, Variant, read_name
from starglot.config.root import Config
from starglot.config.strict import Name
from starglot.samples.folds import leave_out
from starglot.tables import SAMPLE

NUMBERS = st.none() | st.integers(0, 10**6)
FACTORS = st.none() | st.integers(1, 10**6).map(lambda n: n / 1000)
PLAIN = st.from_regex(TypeAdapter(Name).json_schema()["pattern"], fullmatch=True).filter(
    lambda name: not read_name(name).is_variant
)


@pytest.fixture(scope="module")
def paper(project: Path) -> Config:
    return read_config(project / "config/config.yaml")


@given(PLAIN, NUMBERS, NUMBERS, FACTORS)
def test_a_name_says_what_it_was_made_of(
    model: str, seed: int | None, fold: int | None, passes: float | None
) -> None:
    said = Variant(model, seed, fold, passes)
    assert read_name(said.name) == said
    assert re.fullmatch(re.escape(model) + SUFFIX, said.name)


@given(PLAIN, st.from_regex(SUFFIX, fullmatch=True))
def test_a_model_has_one_name(model: str, ending: str) -> None:
    assert read_name(model + ending).name == model + ending


@pytest.mark.parametrize("name", ["ridge.s01", "ridge.x2.0", "ridge.x0", "ridge.f3.s1", "ridge.s1.s2", "ridge.s-1"])
def test_other_spellings_are_no_derived_models(paper: Config, name: str) -> None:
    said = read_name(name)
    assert said.model not in paper.models
    with refused(where=name, allowed="ridge", todo="models"):
        variants.model_of(paper, name)


def test_configured_models_are_what_they_are(paper: Config) -> None:
    for name, model in paper.models.items():
        assert variants.model_of(paper, name) is model
        assert variants.sample_name(paper, name, "1e5") == "1e5"


def test_a_seed_is_the_models_own(paper: Config) -> None:
    for name in ("llm-packed", "lightgbm", "resnet50", "cnn", "gru", "mlp"):
        model, other = paper.models[name], variants.model_of(paper, f"{name}.s7")
        assert other.seed == 7
        assert other.model_dump(exclude={"seed"}) == model.model_dump(exclude={"seed"})
    for name in ("ridge", "class-mean"):  # nothing is drawn: every seed is the same model
        assert variants.model_of(paper, f"{name}.s7") == paper.models[name]
    assert variants.model_of(paper, "ensemble.s7.f2").members == ["llm-packed.s7.f2", "resnet50.s7.f2"]


def test_passes_multiply_the_epochs_of_every_size(paper: Config) -> None:
    half = {
        size: variants.model_at(paper, "llm-packed.x0.5", size).training.epochs for size in ("1e5", "5e5", "1.5e6")
    }
    assert half == {"1e5": 1.5, "5e5": 1.0, "1.5e6": 0.5}
    twice = [variants.model_at(paper, "resnet50-paper.x2", size).training.epochs for size in ("1e5", "5e5", "all")]
    assert twice == [160, 100, 200]
    assert variants.model_of(paper, "lightgbm.x0.1").rounds == 300
    for name in ("ridge.x2", "class-mean.x2", "ensemble.s1.x2"):
        with refused(where=name, allowed=(".x", "cnn")):
            variants.model_of(paper, name)


def test_a_fold_is_left_out_of_all_that_a_model_has_learnt_from(paper: Config) -> None:
    name = "llm-packed.s1.f3"
    assert queries.starts_from(paper, "abundances", name) == ("atmosphere", name, "1.5e6")
    assert queries.trained_on(paper, "abundances", name, "all") == [
        ("abundances", "all.f3"),
        ("atmosphere", "1.5e6.f3"),
    ]
    assert queries.starts_from(paper, "abundances", "llm-packed.x2") == ("atmosphere", "llm-packed", "1.5e6")
    with refused(5, where="ridge.f5", allowed=(".f0", ".f4"), todo="split.folds"):
        variants.sample_name(paper, "ridge.f5", "1e5")


def test_folds_try_every_star_once_and_learn_from_the_others() -> None:
    stars = [f"s{number // 2}" for number in range(400)]  # two visits each
    splits = [
        "train" if n % 10 < 7 else "val" if n % 10 == 7 else "test" for n in (number // 2 for number in range(400))
    ]
    sample = pa.table(
        {
            "obsid": range(400),
            "star_id": stars,
            "class": ["G"] * 400,
            "split": splits,
            "fold": pa.array([(number // 2) // 10 % 5 for number in range(400)], pa.int8()),
        }
    ).cast(SAMPLE)
    tried: list[int] = []
    for fold in range(5):
        less = leave_out(sample, fold)
        assert less.drop_columns("split") == sample.drop_columns("split")
        parts = {name: less.filter(pc.equal(less["split"], name)) for name in ("train", "val", "test")}
        assert set(parts["test"]["fold"].to_pylist()) == {fold}
        assert not set(parts["test"]["star_id"].to_pylist()) & set(parts["train"]["star_id"].to_pylist())
        assert set(parts["val"]["obsid"].to_pylist()) <= {n for n in range(400) if splits[n] == "val"}
        tried += parts["test"]["obsid"].to_pylist()
    assert sorted(tried) == list(range(400))
    with refused(7, todo="split.folds"):
        leave_out(sample, 7)


def test_the_sweep_trains_each_model_once_a_seed(paper: Config) -> None:
    sweep = paper.scaling.model_copy(
        update={"models": ["ridge", "cnn", "ensemble"], "seeds": [0, 2], "passes": [1.0, 4.0]}
    )
    config = paper.model_copy(update={"scaling": sweep})
    assert queries.sweep_models(config, "atmosphere") == [
        "ridge",
        "cnn",
        "cnn.s2",
        "cnn.x4",
        "cnn.s2.x4",
        "ensemble",
        "ensemble.s2",
    ]
    assert queries.sweep_sizes(config, "atmosphere") == ["1e5", "5e5", "1.5e6"]
    assert [queries.sweep_set(config, "atmosphere", size) for size in ("1e5", "5e5", "1.5e6")] == [
        "test",
        "common",
        "common",
    ]
    named = config.model_copy(update={"scaling": sweep.model_copy(update={"test_size": "5e5"})})
    for size in ("1e5", "5e5", "1.5e6"):
        source = queries.set_source(named, "atmosphere", size, queries.sweep_set(named, "atmosphere", size))
        assert source == ("5e5", "test")
    with refused("'abundances'", where="scaling", allowed="all", todo=("sizes", "tasks")):
        queries.sweep_test_size(config, "abundances")


def test_repeats_are_other_seeds_and_all_folds(paper: Config) -> None:
    repeats = paper.repeats.model_copy(update={"models": ["ridge", "cnn"], "seeds": [0, 5], "folds": True})
    config = paper.model_copy(update={"repeats": repeats})
    folds = [f"{name}.f{fold}" for name in ("ridge", "cnn") for fold in range(5)]
    assert queries.repeated_models(config, "atmosphere", folds_only=True) == folds
    assert queries.repeated_models(config, "atmosphere") == [*folds[:5], "cnn.s5", *folds[5:]]
    assert queries.repeated_models(paper, "atmosphere") == []
