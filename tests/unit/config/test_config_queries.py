"""What rules are told of a baseline: its training at one size, and whose training stars it has seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from starglot.config import queries
from starglot.config.by_size import at_size
from starglot.config.kinds.registry import KINDS, family_of
from starglot.config.load import load_config, read_config
from starglot.config.root import Config


@pytest.fixture(scope="module")
def paper(project: Path) -> Config:
    return read_config(project / "config/config.yaml")


def test_the_papers_recipes_by_size(paper: Config) -> None:
    """Sections 4.1 and 4.2, number by number."""
    model = paper.models["resnet50-paper"]
    small, large, stage2 = (at_size(model, size).training for size in ("1e5", "5e5", "all"))
    assert (small.epochs, small.batch, small.learning_rate, small.regression_weight) == (80, 32, 1e-3, 50)
    assert (small.schedule, small.patience, small.factor, small.stop_after) == ("plateau", 3, 0.1, 7)
    assert (large.epochs, large.schedule, large.learning_rate, large.stop_after) == (50, "cosine", 1e-3, None)
    assert (stage2.epochs, stage2.batch, stage2.factor, stage2.stop_after) == (100, 256, 0.5, None)
    assert (stage2.schedule, stage2.patience, stage2.regression_weight) == ("plateau", 3, 50)
    assert model.labels == "minmax"
    assert at_size(model, "5e5").by_size == {}  # a recipe of another size is none of this job's


def test_an_ensemble_has_seen_what_its_members_have(paper: Config) -> None:
    assert queries.trained_on(paper, "atmosphere", "resnet50", "1e5") == [("atmosphere", "1e5")]
    seen = queries.trained_on(paper, "abundances", "ensemble", "all")  # llm-packed starts from stage 1
    assert seen == [("abundances", "all"), ("atmosphere", "1.5e6")]


def test_every_baseline_has_scripts(paper: Config, project: Path) -> None:
    for name, model in paper.models.items():
        if family_of(model).needs == "spectra":
            for step in ("train", "predict"):
                assert (project / f"workflow/scripts/{step}_{KINDS[model.kind].family}.py").is_file(), name


def test_by_size_changes_the_keys_that_it_names(paper: Config) -> None:
    """The others are those of `training`, also inside a map of keys, and so they are in what is written down."""
    tuned = paper.models["cnn"]
    large = at_size(tuned, "1.5e6").training
    assert (large.epochs, large.batch, large.stop_after) == (30, 256, 8)
    same = {"epochs", "batch", "stop_after"}
    assert large.model_dump(exclude=same) == tuned.training.model_dump(exclude=same)
    assert at_size(tuned, "1e5").training == tuned.training
    tilted = type(tuned).model_validate({**tuned.model_dump(), "by_size": {"1e5": {"augment": {"tilt": 0.2}}}})
    assert at_size(tilted, "1e5").training.augment.model_dump() == {"noise": 0.01, "tilt": 0.2}
    assert tilted.model_dump()["by_size"] == {"1e5": {"augment": {"tilt": 0.2}}}
    assert type(tuned).model_validate(tilted.model_dump()) == tilted


def test_a_language_model_may_have_any_name(paper: Config) -> None:
    """What it is, its kind says: also to the tables of the paper, which set it beside another model."""
    raw = paper.model_dump(mode="json")
    raw["models"] = {
        {"llm-packed": "reader", "ridge": "llm-ridge"}.get(name, name): it for name, it in raw["models"].items()
    }
    raw["models"]["ensemble"]["members"] = ["reader", "resnet50"]
    raw["run"]["models"] = ["llm-ridge", "reader"]
    config = load_config(raw)
    assert queries.run_language_models(config) == ["reader"]
    assert queries.leading_model(config, "atmosphere") == "reader"
    assert queries.baseline_of(config, "atmosphere") == ["llm-ridge"]
    assert queries.trained_on(config, "abundances", "reader", "all") == [
        ("abundances", "all"),
        ("atmosphere", "1.5e6"),
    ]


def test_a_survey_judges_the_tasks_whose_labels_it_brings(paper: Config) -> None:
    """GALAH has no phosphorus: of a task that asks for nothing else it is no judge, and its stars are not matched."""
    raw = paper.model_dump(mode="json", exclude_unset=True)
    raw["tasks"]["abundances"]["question"]["labels"] = ["p_fe"]
    raw["run"] |= {"tasks": ["abundances"], "sizes": ["all"], "validation": ["galah"]}
    raw["scaling"] |= {"tasks": []}
    config = load_config(raw)
    assert queries.judges(config, "abundances") == [] and queries.label_surveys(config, "lamost") == ["apogee"]
    assert queries.judges(paper, "abundances") == ["galah", "gaia_eso"]
    assert queries.label_surveys(paper, "lamost") == ["apogee", "gaia_eso", "galah"]


def test_captions_say_what_is_observed(project: Path) -> None:
    """A survey of several classes, or tasks on several surveys, observe objects."""
    files = [project / "config" / name for name in ("config.yaml", "demo.yaml", "redshift.yaml")]
    galaxies, demo = read_config(*files), read_config(*files[:2])
    assert queries.about_spectra(galaxies) == {"release": "mock", "mock": True, "objects": "galaxies"}
    assert queries.about_spectra(demo)["objects"] == "stars"
    sdss = galaxies.surveys.with_spectra()["sdss"]
    both = sdss.model_copy(update={"classes": ["GALAXY", "QSO"]})
    assert [each.objects for each in (sdss, both)] == ["galaxies", "objects"]
    assert queries.objects_of([sdss, *demo.surveys.with_spectra().values()]) == "objects"
