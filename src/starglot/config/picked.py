"""What a job's code picks from registries: the entries that its wildcards' definitions name (starglot.registry)."""

from __future__ import annotations

from collections.abc import Mapping

from starglot.config.derived import model_of
from starglot.config.models import Config
from starglot.config.recipes import View
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES

#: Registries with an entry for each kind of model.
OF_KINDS = ("KINDS", "FITS", "READERS", "ARCHITECTURES")
#: Registries with an entry for each survey.
OF_SURVEYS = ("CATALOGS", "FILES", "SPECTRA")
#: Forms of answer that the demo's base learns, whatever task it is of.
_BASE_FORMS = ("atmosphere", "abundances")


def picked(config: Config, wildcards: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Registry -> names of its entries that a job with these wildcards may pick; others it depends on whole.

    A job without a survey may pick those that tasks ask about, one without a task the labels and forms of all of
    them, and one without a model the kinds of all models.  The paper's own labels are named in code and so among
    everybody's.
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
    surveys = [wildcards["survey"]] if "survey" in wildcards else [View(view).survey for view in config.views]
    found |= dict.fromkeys(OF_SURVEYS, tuple(sorted(set(surveys))))
    return found
