"""What a job's code picks from registries: the entries that its wildcards' definitions name (starglot.registry)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starglot.config.derived import model_of
from starglot.config.models import Config
from starglot.config.recipes import View
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES

#: Registries with an entry for each kind of model.
OF_KINDS = ("KINDS", "FITS", "READERS", "ARCHITECTURES")
#: Registries with an entry for each kind of base.
OF_BASES = ("BASES", "BASE_NETWORKS")
#: Registries with an entry for each survey.
OF_SURVEYS = ("CATALOGS", "FILES", "SPECTRA")
#: Forms of answer that the demo's base learns, whatever task it is of.
_BASE_FORMS = ("atmosphere", "abundances")


def picked(config: Config, wildcards: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Registry -> names of its entries that a job with these wildcards may pick; others it depends on whole.

    A job without a survey may pick those that tasks ask about, one without a task the labels and forms of all of
    them, and one without a model or a base the kinds of all of these.  The paper's own labels are named in code and
    so among everybody's.
    """
    name = wildcards.get("task")
    tasks = [config.tasks[name]] if name in config.tasks else list(config.tasks.values())
    labels = {*ATMOSPHERE_NAMES, *ABUNDANCE_NAMES, *(label for task in tasks for label in task.labels)}
    forms = {task.question.form for task in tasks} | set(_BASE_FORMS if "base" in wildcards else ())
    found = {"LABELS": tuple(sorted(labels)), "FORMS": tuple(sorted(forms))}
    # What a reason to reject a spectrum means is told to whoever reads; no result follows from it.
    found["REJECTIONS"] = ()
    models = [model_of(config, wildcards["model"])] if "model" in wildcards else config.models.values()
    found |= dict.fromkeys(OF_KINDS, tuple(sorted({model.kind for model in models})))
    bases = [config.bases[wildcards["base"]]] if "base" in wildcards else config.bases.values()
    found |= dict.fromkeys(OF_BASES, tuple(sorted({base.kind for base in bases})))
    found["FLUX_TEXTS"] = tuple(sorted(config.encodings[name].form for name in _encodings(config, wildcards)))
    surveys = [wildcards["survey"]] if "survey" in wildcards else [View(view).survey for view in config.views]
    found |= dict.fromkeys(OF_SURVEYS, tuple(sorted(set(surveys))))
    return found


def _encodings(config: Config, wildcards: Mapping[str, str]) -> set[str]:
    """The encodings that a job with these wildcards may write or read: its own, its model's, else those of `run:`."""
    if "encoding" in wildcards:
        return {wildcards["encoding"]}
    users: Sequence[object]
    if "base" in wildcards:
        users = [config.bases[wildcards["base"]]]
    elif "model" in wildcards:
        users = [model_of(config, wildcards["model"])]
    else:
        users = [config.models[name] for name in config.run.models]
    return {encoding for user in users if (encoding := getattr(user, "encoding", None)) in config.encodings}
