"""An ablation: a model's settings varied one at a time around its own values; `snakemake ablation` trains and tables.

The models of an ablation are written by :func:`with_trials` before the configuration is checked, so that whatever
knows a configured model knows them, and a value that a setting cannot have is a fault like any other.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from starglot.config.strict import Strict

Seed = Annotated[int, Field(ge=0)]


class Ablation(Strict):
    """What `snakemake ablation` varies of a model at one task."""

    model: str = Field(description="A name under `models`.")
    size: str = Field(description="The size at which its settings are varied.")
    vary: dict[str, list[float]] = Field(
        {},
        description="Settings by their path within the model, such as `training.learning_rate` or `lora.rank` -> "
        "their values; the model's own is one more. One is varied at a time; its other settings stay.",
    )
    sizes: list[str] = Field(
        [], description="Further sizes of the task, at which it is trained with its own settings."
    )
    seeds: list[Seed] = Field([0, 1, 2], min_length=1, description="Each is trained once a seed.")


def with_trials(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A merged configuration with the models of its ablations written out, as far as they can be.

    :mod:`starglot.config.trials` lists them.
    """
    out = dict(raw)
    for about in _maps(raw.get("ablation")).values():
        models, about = _maps(out.get("models")), _maps(about)
        base = _maps(models.get(str(about.get("model"))))
        for path, values in _maps(about.get("vary")).items():
            for value in _numbers(values) if base else ():
                changed = _changed(base, str(path), value)
                models = {**models, trial_name(about["model"], str(path), value): changed}
        out |= {"models": models} if models else {}
    return out


def trial_name(model: str, path: str, value: float) -> str:
    """'z-patches' with lora.rank 4: 'z-patches-rank-4'."""
    return f"{model}-{path.rpartition('.')[2]}-{f'{value:g}'.replace('+', '')}"


def _numbers(given: Any) -> list[float]:
    """The numbers of a list, also those that YAML takes for text (1e-4)."""
    found = []
    for value in given if isinstance(given, list) else ():
        with contextlib.suppress(TypeError, ValueError):
            found.append(float(value))
    return found


def _maps(given: Any) -> dict[str, Any]:
    """A map; an empty one for anything else, which validation speaks of."""
    return dict(given) if isinstance(given, Mapping) else {}


def _changed(base: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A model's settings with another value at ``path``, also at the sizes that have one of their own."""
    changed = copy.deepcopy(dict(base))
    places = [path.split(".")]
    if places[0][0] == "training":
        for size, plan in _maps(changed.get("by_size")).items():
            if places[0][1:] and places[0][1] in _maps(plan):
                places.append(["by_size", size, *places[0][1:]])
    for *folders, last in places:
        inside = changed
        for name in folders:
            inside[name] = inside = _maps(inside.get(name))
        inside[last] = value
    return changed
