"""What a job's code picks from registries: the entries that its wildcards' definitions name (starglot.registry)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starglot.config.applied import opened_models
from starglot.config.bases.aligned import AlignedBase
from starglot.config.bases.encoders import EncoderBase
from starglot.config.kinds.registry import KINDS
from starglot.config.queries import HELD_OUT
from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.strict import ModelSettings, PretrainedBase, bases_named
from starglot.config.variants import model_of
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES

#: Registries with an entry for each kind of model.
OF_KINDS = ("KINDS", "FITS", "READERS", "ARCHITECTURES")
#: Registries with an entry for each kind of base.
OF_BASES = ("BASES", "BASE_NETWORKS")
#: Registries with an entry for each kind of encoder.
OF_ENCODERS = ("ENCODERS", "OBJECTIVES", "READINGS", "EMBEDDERS")
#: Registries with an entry for each survey.
OF_SURVEYS = ("CATALOGS", "FILES", "SPECTRA")
#: Forms of answer that the demo's base learns, whatever task it is of.
_BASE_FORMS = ("atmosphere", "abundances")


def picked(config: Config, wildcards: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Registry -> names of its entries that a job with these wildcards may pick; others it depends on whole.

    A job of a survey may pick the labels that it brings, one of a base those of its task, one of pairs none, and any
    other without a task the labels and forms of all tasks of `run:`.  A job without a survey may pick those whose
    spectra are used, and one without a model or a base the kinds of all of these.  The paper's own labels are named
    in code and so among everybody's.
    """
    if wildcards.get("survey") == HELD_OUT:
        wildcards = {**wildcards, "survey": View(config.tasks[wildcards["task"]].view).survey}
    surveys = [config.surveys.named()[wildcards[name]] for name in ("survey", "other") if name in wildcards]
    if "task" in wildcards:
        tasks = [wildcards["task"]]
    elif "base" in wildcards:
        base = config.bases[wildcards["base"]]
        tasks = [base.task] if isinstance(base, PretrainedBase) else []
    else:
        tasks = [] if surveys or "pairs" in wildcards else config.run.tasks
    labels = {label for name in tasks for label in config.tasks[name].labels}
    further = getattr(base, "forms", {}) if "base" in wildcards else {}
    labels |= {label for named in further.values() for label in named}
    labels |= {label for survey in surveys for label in survey.brings}
    forms = (
        {*further}
        | {config.tasks[name].question.form for name in tasks}
        | set(_BASE_FORMS if "base" in wildcards else ())
    )
    found = {
        "LABELS": tuple(sorted({*ATMOSPHERE_NAMES, *ABUNDANCE_NAMES, *labels})),
        "FORMS": tuple(sorted(forms)),
    }
    # What a reason to reject a spectrum means is told to whoever reads; no result follows from it.
    found["REJECTIONS"] = ()
    models = _models(config, wildcards)
    found |= dict.fromkeys(OF_KINDS, tuple(sorted({model.kind for model in models})))
    found["OPENERS"] = tuple(sorted({KINDS[model.kind].family for model in models}))
    bases = [config.bases[wildcards["base"]]] if "base" in wildcards else config.bases.values()
    found |= dict.fromkeys(OF_BASES, tuple(sorted({base.kind for base in bases})))
    found |= dict.fromkeys(OF_ENCODERS, tuple(sorted(_encoders(config, wildcards))))
    found["FLUX_TEXTS"] = tuple(sorted(config.encodings[name].form for name in _encodings(config, wildcards)))
    named = [wildcards["survey"]] if "survey" in wildcards else [View(view).survey for view in config.views]
    found |= dict.fromkeys(OF_SURVEYS, tuple(sorted(set(named))))
    return found


def _models(config: Config, wildcards: Mapping[str, str]) -> Sequence[ModelSettings]:
    """The models that a job with these wildcards may open: with a survey as well, it answers, by the members, too."""
    if "model" not in wildcards:
        return list(config.models.values())
    names = opened_models(config, wildcards["model"]) if "survey" in wildcards else [wildcards["model"]]
    return [model_of(config, name) for name in names]


def _encoders(config: Config, wildcards: Mapping[str, str]) -> set[str]:
    """The kinds of encoder that a job with these wildcards may train or read: its base's, or its models'.

    A model that stands on an aligned pair opens one side of it, as an encoder of kind aligned.
    """
    if "base" in wildcards:
        base = config.bases[wildcards["base"]]
        of = base.encoders if isinstance(base, AlignedBase) else (wildcards["base"],)
        return {config.bases[name].kind for name in of}
    names = {name for model in _models(config, wildcards) for name in bases_named(model)}
    bases = [base for name, base in config.bases.items() if name in names]
    inside = [config.bases[name] for base in bases if isinstance(base, AlignedBase) for name in base.encoders]
    return {base.kind for base in (*bases, *inside) if isinstance(base, EncoderBase | AlignedBase)}


def _encodings(config: Config, wildcards: Mapping[str, str]) -> set[str]:
    """The encodings that a job with these wildcards may write or read: its own, its model's, else those of `run:`."""
    if "encoding" in wildcards:
        return {wildcards["encoding"]}
    users: Sequence[object]
    if "base" in wildcards:
        users = [config.bases[wildcards["base"]]]
    elif "model" in wildcards:
        users = _models(config, wildcards)
    else:
        users = [config.models[name] for name in config.run.models]
    return {encoding for user in users if (encoding := getattr(user, "encoding", None)) in config.encodings}
