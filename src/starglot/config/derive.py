"""What each rule is told of the configuration: the leaves it reads, and no others.

A rule's params hold these mappings, so a changed leaf reruns exactly the rules that read it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from starglot.config.baselines import Ensemble, LightGbm, Network
from starglot.config.models import Config, Llm, Model, Task
from starglot.glossary import CLASSES

#: Fields of a task that decide which stars are drawn, not what is asked of them.
_SAMPLING = {"sizes", "shortage", "balanced"}


def dump(model: BaseModel, **kwargs: Any) -> dict[str, Any]:
    """A model as JSON-able data."""
    return model.model_dump(mode="json", **kwargs)


def asked(task: Task, *, training: bool = False) -> dict[str, Any]:
    """The task as far as questions, answers and truth depend on it (no sizes: adding one changes no other)."""
    drop = set(_SAMPLING) if training else {*_SAMPLING, "ask_all"}
    return {**dump(task, exclude=drop), "sizes": {}, "balanced": False}


def decimals(config: Config) -> dict[str, int]:
    """Digits after the point by label, of all tasks together (the first task that names a label decides)."""
    found: dict[str, int] = {}
    for task in config.tasks.values():
        found = {**task.decimals, **found}
    return found


def sizes_of(config: Config, task: str) -> list[str]:
    """The sizes of ``task`` that are built, smallest first (null, all there are, counts as the largest)."""
    sizes = config.tasks[task].sizes
    built = [size for size in config.run.sizes if size in sizes]
    return sorted(built, key=lambda size: float("inf") if sizes[size] is None else float(sizes[size] or 0))


def smallest_size(config: Config, task: str) -> str:
    """The size whose test split is the set 'common'."""
    return sizes_of(config, task)[0]


def label_surveys(config: Config) -> list[str]:
    """Surveys other than LAMOST whose matched stars are selected: label sources and external validation."""
    sources = [config.tasks[task].source for task in config.run.tasks]
    return sorted({*sources, *config.run.validation} - {"lamost"})


def wanted_per_class(config: Config) -> dict[str, int | None]:
    """Spectra that the largest balanced sample needs of each class (None: all there are)."""
    counts: list[int | None] = []
    for name in config.run.tasks:
        task = config.tasks[name]
        if task.source == "lamost":
            for size in sizes_of(config, name):
                count = task.sizes[size]
                counts.append(None if count is None or not task.balanced else -(-count // len(CLASSES)))
    largest = None if None in counts else max((c for c in counts if c is not None), default=0)
    return dict.fromkeys(CLASSES, largest)


def starts_from(config: Config, task: str, model: str) -> tuple[str, str, str] | None:
    """(task, model, size) of the adapter that training of ``model`` at ``task`` continues, if any."""
    settings = config.models[model]
    if not isinstance(settings, Llm) or settings.init is None or settings.init.task == task:
        return None
    return settings.init.task, settings.init.model or model, settings.init.size


def hub_slug(base: str) -> str | None:
    """File name for a base that is a Hugging Face id ('owner--name'); None for a folder.

    'owner/name' whose first part is a folder here is a path, also when the second part is not there yet.
    """
    owner, _, name = base.partition("/")
    return f"{owner}--{name}" if name and "/" not in name and not Path(owner).is_dir() else None


def hub_name(slug: str) -> str:
    """The Hugging Face id behind :func:`hub_slug`."""
    return slug.replace("--", "/", 1)


def trained_on(config: Config, task: str, model: str, size: str) -> list[tuple[str, str]]:
    """(task, size) of every sample whose training stars a model has seen: its own, its start's, its base's."""
    samples = [(task, size)]
    start = starts_from(config, task, model)
    if start:
        samples += trained_on(config, start[0], start[1], start[2])
    settings = config.models[model]
    if isinstance(settings, Ensemble):
        return sorted({seen for member in settings.members for seen in trained_on(config, task, member, size)})
    if isinstance(settings, Llm) and settings.base in config.bases:
        base = config.bases[settings.base]
        samples.append((base.task, base.size))
    return sorted(set(samples))


#: Baselines that share their scripts, by what those import.
FAMILIES = ("plain", "trees", "network")


def family(model: Model) -> str:
    """Which of FAMILIES a baseline is of."""
    if isinstance(model, Network):
        return "network"
    return "trees" if isinstance(model, LightGbm) else "plain"


def at_size(model: Model, size: str) -> Model:
    """A model with its training of one size in place of the choice of several."""
    if not isinstance(model, Network):
        return model
    return model.model_copy(update={"training": model.by_size.get(size, model.training), "by_size": {}})


def set_source(config: Config, task: str, size: str, name: str) -> tuple[str, str]:
    """(size, split) whose spectra make up the prediction set ``name`` of a model trained at ``size``."""
    if name == "common":
        return smallest_size(config, task), "test"
    return size, name
