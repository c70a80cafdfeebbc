"""`run: without`: a task does without some of the run's models, in all that is made of its models."""

from __future__ import annotations

from pathlib import Path

import pytest

from starglot.config import applied, comparisons, paper, queries
from starglot.config.control import control_faults
from starglot.config.load import load_config, read_config
from starglot.config.root import Config
from starglot.workflow import forecast

LEFT = {"atmosphere": ["llm-demo", "ridge"], "abundances": ["llm-patches", "ridge", "cnn"]}


@pytest.fixture(scope="module")
def demo(project: Path) -> Config:
    return read_config(project / "config/config.yaml", project / "config/demo.yaml")


@pytest.fixture(scope="module")
def config(demo: Config) -> Config:
    """One task without each of the language models, all four models wherever none is named."""
    raw = demo.model_dump(mode="json", by_alias=True)
    raw["run"]["models"] = ["llm-patches", "llm-demo", "ridge", "cnn"]
    raw["run"]["without"] = {"abundances": ["llm-demo"], "atmosphere": ["llm-patches", "cnn"]}
    raw["repeats"] = {"models": ["ridge", "cnn"], "folds": True}
    raw["scaling"] |= {"models": None, "seeds": [0], "passes": [1]}
    raw["catalogue"] = {}
    return load_config(raw)


@pytest.mark.parametrize("task", LEFT)
def test_whatever_takes_the_models_of_the_run_takes_those_of_the_task(config: Config, task: str) -> None:
    assert config.models_of(task) == LEFT[task]
    assert queries.sweep_models(config, task) == LEFT[task]
    assert comparisons.comparison_models(config, task) == LEFT[task]
    assert [each.model for each in applied.catalogues(config) if each.task == task] == LEFT[task]
    trained = {model for at, model, _, sweep in forecast.trained(config) if at == task and not sweep}
    assert {name for name in trained if "." not in name} == set(LEFT[task])
    repeated = {name.split(".")[0] for name in queries.repeated_models(config, task)}
    assert repeated == {"ridge", "cnn"} & set(LEFT[task])


def test_figures_and_numbered_tables_show_each_tasks_own(config: Config) -> None:
    assert {task: queries.leading_model(config, task) for task in LEFT} == {
        task: left[0] for task, left in LEFT.items()
    }
    assert queries.judged_outside(config, "atmosphere") == ["llm-demo", "ridge"]
    assert queries.judged_outside(config, "abundances") == ["llm-patches", "cnn"]
    tables = paper.paper_tables(config)
    shown = {number: tables[str(number)]["models"] for number in range(2, 9)}
    assert shown[2] == ["llm-demo"] and shown[3] == shown[4] == shown[7] == LEFT["atmosphere"]
    assert shown[5] == ["llm-patches"] and shown[6] == shown[8] == ["llm-patches", "cnn"]
    leading = {figure["task"]: figure["model"] for figure in paper.paper_figures(config).values()}
    assert leading == {task: left[0] for task, left in LEFT.items()}


def test_a_control_that_a_swept_task_does_without_is_said(config: Config) -> None:
    over = {"control": {"llm-patches": ["llm-demo"]}, "tasks": ["atmosphere"]}
    faults = list(control_faults(config.model_copy(update={"scaling": config.scaling.model_copy(update=over)})))
    assert "unknown name 'llm-patches'" in faults[0]


def test_who_names_a_model_gets_it(config: Config) -> None:
    update = {key: getattr(config, key).model_copy(update={"models": ["cnn"]}) for key in ("scaling", "comparison")}
    named = config.model_copy(update=update)
    assert queries.sweep_models(named, "atmosphere") == comparisons.comparison_models(named, "atmosphere") == ["cnn"]


def test_what_every_task_does_without_asks_for_nothing(demo: Config) -> None:
    """Neither the spectra of its start nor its base's pairs."""
    run = demo.run.model_copy(update={"tasks": ["abundances"], "models": ["llm-demo", "ridge"]})
    alone = demo.model_copy(update={"run": run})
    assert "llm-demo" not in alone.opened and alone.starts == []
