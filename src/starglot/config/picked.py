"""What a job's code picks from registries: the entries that its wildcards' definitions name (starglot.registry)."""

from __future__ import annotations

from collections.abc import Mapping

from starglot.config.derived import model_of
from starglot.config.models import Config
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES

#: Registries with an entry for each kind of model.
OF_KINDS = ("KINDS", "FITS", "READERS", "ARCHITECTURES")
#: Forms of answer that the demo's base learns, whatever task it is of.
_BASE_FORMS = ("atmosphere", "abundances")


def picked(config: Config, wildcards: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Registry -> names of its entries that a job with these wildcards may pick; others it depends on whole.

    A job without a task may pick the labels and forms of all of them.  The paper's own labels are named in code
    and so among everybody's.
    """
    name = wildcards.get("task")
    tasks = [config.tasks[name]] if name in config.tasks else list(config.tasks.values())
    labels = {*ATMOSPHERE_NAMES, *ABUNDANCE_NAMES, *(label for task in tasks for label in task.labels)}
    forms = {task.question.form for task in tasks} | set(_BASE_FORMS if "base" in wildcards else ())
    found = {"LABELS": tuple(sorted(labels)), "FORMS": tuple(sorted(forms))}
    # What a reason to reject a spectrum means is told to whoever reads; no result follows from it.
    found["REJECTIONS"] = ()
    if "model" in wildcards:
        kind = model_of(config, wildcards["model"]).kind
        found |= dict.fromkeys(OF_KINDS, (kind,))
    if "survey" in wildcards:
        found["SURVEYS"] = (wildcards["survey"],)
    return found
