"""What is compared with what: models with baselines, over seeds, and all of them with a mock's limit."""

from __future__ import annotations

from collections.abc import Iterable

from starglot.config.kinds.registry import is_language_model, reading
from starglot.config.names import Variant
from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.variants import own_seeds
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES


def compared(config: Config, models: Iterable[str]) -> list[str]:
    """Those of the ``models`` that are set against a baseline: language models, and what is made of other models."""
    names = list(models)
    blends = reading(names, config.models, "predictions")
    return [name for name in names if name in blends or is_language_model(config.models[name])]


def baselines(config: Config, models: Iterable[str]) -> list[str]:
    """Those of the ``models`` that read spectra and are no language models: what the others are compared with."""
    return reading(models, config.models, "spectra")


def comparison_models(config: Config, task: str) -> list[str]:
    """Models of a task's comparison over seeds, by the names that they are configured by."""
    return config.comparison.models or config.models_of(task)


def seeds_of(config: Config, model: str) -> list[str]:
    """A model of every seed of the comparison; the model itself where the seed is its own, or nothing is drawn."""
    own = own_seeds(config, model)
    seeds = [None if own == {seed} else seed for seed in config.comparison.seeds if own]
    return [Variant(model, seed).name for seed in seeds or [None]]


def limit_tasks(config: Config) -> list[str]:
    """Tasks of `run:` whose spectra and labels the mock draws, so that the limit of their information is known."""
    drawn = {*ATMOSPHERE_NAMES, *ABUNDANCE_NAMES}
    return [
        name
        for name in config.run.tasks
        if config.mock
        and View(config.tasks[name].view).survey == "lamost"
        and set(config.tasks[name].labels) <= drawn
        and config.tasks[name].sample.by_class
    ]
