"""Models applied to surveys: which catalogues are made, and which models and bases a catalogue's jobs open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from starglot.config.faults import nearest
from starglot.config.kinds.registry import family_of, is_language_model
from starglot.config.queries import sizes_of, viewed_surveys, wanted_spectra
from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.variants import members_of, model_at, model_of
from starglot.labels import CLASSES


class Applied(NamedTuple):
    """A model of a size, and the survey that it is applied to."""

    task: str
    model: str
    size: str
    survey: str


def catalogues(config: Config) -> list[Applied]:
    """Every catalogue of `catalogue:`."""
    wanted, found = config.catalogue, []
    for task in config.run.tasks if wanted.tasks is None else wanted.tasks:
        defined = config.tasks[task].sample.sizes
        sizes = sizes_of(config, task)[-1:] if wanted.sizes is None else [s for s in wanted.sizes if s in defined]
        surveys = [View(config.tasks[task].view).survey] if wanted.surveys is None else wanted.surveys
        models = readers_of_spectra(config, config.models_of(task)) if wanted.models is None else wanted.models
        found += [Applied(task, model, size, survey) for model in models for size in sizes for survey in surveys]
    return found


def readers_of_spectra(config: Config, models: Iterable[str]) -> list[str]:
    """Those of the models that answer spectra, not a catalogue's rows, whatever they are made of."""
    return [
        name
        for name in models
        if all(family_of(model_of(config, each)).needs != "catalogue" for each in opened_models(config, name))
    ]


def spectra_to_select(config: Config, survey: str) -> list[dict[str, Any]]:
    """:func:`starglot.config.queries.wanted_spectra`, and all that have a label where a catalogue is to have them."""
    wanted = wanted_spectra(config, survey)
    if config.catalogue.everything and survey in {each.survey for each in catalogues(config)}:
        brings = list(config.surveys.with_spectra()[survey].brings)
        wanted.append({"labels": brings, "counts": dict.fromkeys(CLASSES)})
    return wanted


def opened_models(config: Config, model: str) -> list[str]:
    """The models that an answer of ``model`` needs: itself, then the members of an ensemble, theirs after them."""
    found = [model]
    for member in members_of(model_of(config, model)):
        found += opened_models(config, member)
    return list(dict.fromkeys(found))


def answering_gpus(config: Config, model: str, size: str) -> int:
    """GPUs of a job that answers by ``model``: one where it or a member needs any, as one process answers."""
    for name in opened_models(config, model):
        settings: Any = model_at(config, name, size)
        if (settings.training.gpus if is_language_model(settings) else getattr(settings, "gpus", 0)) > 0:
            return 1
    return 0


def catalogue_faults(config: Config) -> Iterator[str]:
    """A sentence for every name under `catalogue:` that is none."""
    every = {size for task in config.tasks.values() for size in task.sample.sizes}
    tasks = [name for name in config.run.tasks if name in config.tasks]
    known = {
        "tasks": list(config.tasks),
        "models": list(config.models),
        "sizes": sorted(every),
        "surveys": viewed_surveys(config, tasks),
    }
    for key, valid in known.items():
        given = getattr(config.catalogue, key) or []
        for name in given:
            if name not in valid:
                yield f"catalogue.{key}: unknown name '{name}'; {nearest(name, valid, cutoff=0.4)}"
        if len(set(given)) < len(given):
            yield f"catalogue.{key}: one is named twice"
    named = [name for name in config.catalogue.models or [] if name in config.models]
    for name in named:
        if name not in readers_of_spectra(config, named):
            yield f"catalogue.models: '{name}' repeats a survey's own catalogue; name models that read spectra"
