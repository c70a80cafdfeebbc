"""What the paper's stages, tables and figures are in a run: its tasks, sizes, sets and models."""

from __future__ import annotations

from typing import Any

from starglot.config.queries import (
    form_of,
    judged_outside,
    judged_set,
    leading_model,
    run_language_models,
    sizes_of,
)
from starglot.config.root import Config
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES

#: The surveys that the paper's tables 7 and 8 judge by.
PAPER_JUDGES: tuple[str, ...] = ("galah", "gaia_eso")

#: The labels of the paper's stages.
_STAGES: dict[int, tuple[str, ...]] = {1: ATMOSPHERE_NAMES, 2: ABUNDANCE_NAMES}


def stage_of(config: Config, stage: int) -> str | None:
    """The task of `run:` that is the paper's stage 1 or 2: its form of question, and labels of its own only."""
    for name in config.run.tasks:
        if form_of(config, name).stage == stage and set(config.tasks[name].labels) <= set(_STAGES[stage]):
            return name
    return None


def own_line_task(config: Config) -> str | None:
    """The task of the own-line test, where the mock makes one and the run has abundances."""
    return stage_of(config, 2) if config.mock and config.mock.own_line else None


def paper_tables(config: Config) -> dict[str, dict[str, Any]]:
    """What tables 2 to 8 of the paper are made of here: task, size, sets, models, and a note for the reader.

    Table 2 and 5 to 8 take the largest size of their task, table 3 the smallest, table 4 the next one.
    """
    one, two = stage_of(config, 1), stage_of(config, 2)
    sizes: list[str | None] = [*sizes_of(config, one)] if one else [None]
    largest = sizes_of(config, two)[-1] if two else None
    here, outside = [judged_set(config)], [name for name in PAPER_JUDGES if name in config.run.validation]
    stages = {1: one, 2: two}
    every = {stage: config.models_of(task) for stage, task in stages.items()}
    llms = {stage: run_language_models(config, task) or every[stage] for stage, task in stages.items()}
    others = {stage: judged_outside(config, task) for stage, task in stages.items()}
    plans = {
        2: (one, sizes[-1], here, llms[1]),
        3: (one, sizes[0], here, every[1]),
        4: (one, sizes[:2][-1], here, every[1]),
        5: (two, largest, here, llms[2]),
        6: (two, largest, here, others[2]),
        7: (one, sizes[-1] if outside else None, outside, others[1]),
        8: (two, largest if outside else None, outside, others[2]),
    }
    repeated = "This run has one size: its cells are those of table 3." if len(sizes) == 1 else None
    return {
        str(number): {
            "task": task,
            "size": size,
            "sets": sets,
            "models": models,
            "note": repeated if number == 4 else None,
        }
        for number, (task, size, sets, models) in plans.items()
    }


def paper_figures(config: Config) -> dict[str, dict[str, Any]]:
    """Figures 1 to 8 of the paper as far as `run:` has their task and survey: task, model, size, set, labels."""
    figures: dict[str, dict[str, Any]] = {}
    for name, survey, first, last in (("gaia_eso", "Gaia-ESO", 1, 7), ("galah", "GALAH DR4", 4, 8)):
        one, two = stage_of(config, 1), stage_of(config, 2)
        wanted = [(first + i, one, [label]) for i, label in enumerate(("teff", "logg", "feh"))]
        for number, task, labels in [*wanted, (last, two, config.tasks[two].labels if two else [])]:
            if task and name in config.run.validation and set(labels) <= set(config.tasks[task].labels):
                figures[str(number)] = {
                    "task": task,
                    "model": leading_model(config, task),
                    "size": sizes_of(config, task)[-1],
                    "set": name,
                    "survey": survey,
                    "labels": labels,
                }
    return dict(sorted(figures.items()))
