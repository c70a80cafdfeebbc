"""The trainings of an ablation (:mod:`starglot.config.ablation`), by name and by what each varies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starglot.config.ablation import trial_name
from starglot.config.by_size import at_size
from starglot.config.faults import unknown
from starglot.config.names import Variant
from starglot.config.root import Config

#: What is varied where the size of the sample is.
SIZE = "size"


@dataclass(frozen=True)
class Trial:
    """A model of an ablation: its name, its size, and what is varied (None: the model itself).

    values: by setting, of all that are varied anywhere in the ablation.
    """

    model: str
    size: str
    varied: str | None
    values: Mapping[str, Any]


def trials(config: Config, task: str) -> list[Trial]:
    """The models of a task's ablation: the model itself, its settings varied one by one, then its sizes."""
    about = config.ablation[task]
    own = {path: _value(config, about.model, about.size, path) for path in about.vary}
    found = [Trial(about.model, about.size, None, own)]
    for path, values in about.vary.items():
        for value in dict.fromkeys(values):
            if value != own[path]:
                name = trial_name(about.model, path, value)
                found.append(Trial(name, about.size, path, {**own, path: _value(config, name, about.size, path)}))
    for size in dict.fromkeys(about.sizes):
        if size != about.size:
            at_size = {path: _value(config, about.model, size, path) for path in about.vary}
            found.append(Trial(about.model, size, SIZE, at_size))
    return found


def seeded(config: Config, task: str) -> list[Trial]:
    """:func:`trials`, each once a seed; a seed that is the model's own is the model itself."""
    found = []
    for trial in trials(config, task):
        own = getattr(config.models[trial.model], "seed", None)
        seeds = config.ablation[task].seeds if own is not None else [None]
        found += [
            replace(trial, model=Variant(trial.model, None if seed == own else seed).name)
            for seed in dict.fromkeys(seeds)
        ]
    return found


def ablation_sizes(config: Config, task: str) -> list[str]:
    """The sizes of a task that its ablation needs; none for a task without one."""
    about = config.ablation.get(task)
    return list(dict.fromkeys([about.size, *about.sizes])) if about else []


def ablation_faults(config: Config) -> Iterator[str]:
    """What is wrong with the ablations, if anything."""
    for task, about in config.ablation.items():
        at = f"ablation.{task}"
        if task not in config.run.tasks:
            yield unknown(at, task, config.run.tasks)
            continue
        if about.model not in config.models:
            yield unknown(f"{at}.model", about.model, config.models)
        for size in (about.size, *about.sizes):
            if size not in config.tasks[task].sample.sizes:
                yield unknown(f"{at}.sizes", size, config.tasks[task].sample.sizes)
        if not about.vary and not about.sizes:
            yield f"{at}: it varies nothing; give `vary` or `sizes`"
        for path, values in about.vary.items():
            if not values:
                yield f"{at}.vary.{path}: it has no values"


def _value(config: Config, model: str, size: str, path: str) -> Any:
    """A setting of a configured model at a size."""
    value: Any = at_size(config.models[model], size)
    for name in path.split("."):
        value = getattr(value, name)
    return value
