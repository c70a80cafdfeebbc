"""What is compared with what, by the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusals import refused
from starglot.config import comparisons
from starglot.config.load import read_config
from starglot.config.root import Config


@pytest.fixture(scope="module")
def demo(project: Path) -> Config:
    return read_config(project / "config/config.yaml", project / "config/demo.yaml")


def test_language_models_and_ensembles_are_compared_with_the_rest(demo: Config) -> None:
    names = demo.run.models
    assert comparisons.compared(demo, names) == ["llm-patches", "llm-demo", "ensemble"]
    assert {"class-mean", "ridge", "kernel-ridge", "lightgbm", "cnn"} <= set(comparisons.baselines(demo, names))
    assert set(comparisons.baselines(demo, names)) | {"llm-patches", "llm-demo", "ensemble"} == set(names)


def test_each_seed_is_a_variant_and_what_draws_nothing_is_trained_once(demo: Config) -> None:
    assert comparisons.seeds_of(demo, "llm-patches") == ["llm-patches", "llm-patches.s1", "llm-patches.s2"]
    assert comparisons.seeds_of(demo, "kernel-ridge") == ["kernel-ridge", "kernel-ridge.s1", "kernel-ridge.s2"]
    assert comparisons.seeds_of(demo, "ridge") == ["ridge"]
    assert comparisons.comparison_models(demo, "atmosphere") == demo.run.models


def test_only_a_mock_has_a_limit(demo: Config, project: Path) -> None:
    assert comparisons.limit_tasks(demo) == ["atmosphere", "abundances"]
    assert comparisons.limit_tasks(read_config(project / "config/config.yaml")) == []


def test_a_model_or_seed_that_cannot_be_is_refused(project: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("comparison: {models: [rigde], seeds: [1, 1]}\n")
    with refused() as found:
        read_config(project / "config/config.yaml", mine)
    assert "rigde" in str(found.value) and "comparison.seeds" in str(found.value)
