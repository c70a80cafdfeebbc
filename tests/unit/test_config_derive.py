"""What rules are told of a baseline: its training at one size, and whose training stars it has seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from starglot.config import derive
from starglot.config.load import read_config
from starglot.config.models import Config


@pytest.fixture(scope="module")
def paper(project: Path) -> Config:
    return read_config(project / "config/config.yaml")


def test_the_papers_recipes_by_size(paper: Config) -> None:
    """Sections 4.1 and 4.2, number by number."""
    model = paper.models["resnet50-paper"]
    small, large, stage2 = (derive.at_size(model, size).training for size in ("1e5", "5e5", "all"))
    assert (small.epochs, small.batch, small.learning_rate, small.regression_weight) == (80, 32, 1e-3, 50)
    assert (small.schedule, small.patience, small.factor, small.stop_after) == ("plateau", 3, 0.1, 7)
    assert (large.epochs, large.schedule, large.learning_rate, large.stop_after) == (50, "cosine", 1e-3, None)
    assert (stage2.epochs, stage2.batch, stage2.factor, stage2.stop_after) == (100, 256, 0.5, None)
    assert (stage2.schedule, stage2.patience, stage2.regression_weight) == ("plateau", 3, 50)
    assert model.labels == "minmax"
    assert derive.at_size(model, "5e5").by_size == {}  # a recipe of another size is none of this job's


def test_an_ensemble_has_seen_what_its_members_have(paper: Config) -> None:
    assert derive.trained_on(paper, "atmosphere", "resnet50", "1e5") == [("atmosphere", "1e5")]
    seen = derive.trained_on(paper, "abundances", "ensemble", "all")  # llm-packed starts from stage 1
    assert seen == [("abundances", "all"), ("atmosphere", "1.5e6")]


def test_every_baseline_has_scripts(paper: Config, project: Path) -> None:
    for name, model in paper.models.items():
        if model.kind not in ("llm", "ensemble"):
            for step in ("train", "predict"):
                assert (project / f"workflow/scripts/{step}_{derive.family(model)}.py").is_file(), name
