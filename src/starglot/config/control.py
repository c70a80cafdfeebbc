"""Language models of the scaling sweep and their controls, which are the same but for what was learnt beforehand."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.faults import unknown
from starglot.config.names import read_name
from starglot.config.queries import language_models, sweep_models
from starglot.config.root import Config


def control_models(config: Config, task: str) -> list[str]:
    """The models of a task's sweep, of all seeds, that `scaling: control` compares."""
    pairs = config.scaling.control
    named = {*pairs, *(control for controls in pairs.values() for control in controls)}
    said = {name: read_name(name) for name in sweep_models(config, task)}
    return [name for name, each in said.items() if each.model in named and each.passes is None]


def control_faults(config: Config) -> Iterator[str]:
    """What is wrong with the controls, if anything: each differs from its model in base or encoder alone."""
    known = language_models(config)
    lists = [config.scaling.models or config.models_of(task) for task in config.scaling.tasks]
    swept = [name for name in config.models if all(name in models for models in lists)]
    for name, controls in config.scaling.control.items():
        for each in (name, *controls):
            if each not in swept:
                yield unknown("scaling.control", each, swept)
            elif each not in known:
                yield f"scaling.control: '{each}' is no language model"
            elif name in known:
                one, other = (
                    known[which].model_dump(exclude={"base", "revision", "encoder"}) for which in (name, each)
                )
                differ = [key for key in one if other.get(key) != one[key]]
                if differ:
                    may = "only its base and its encoder may"
                    yield f"scaling.control.{name}: '{each}' differs in {', '.join(differ)}; {may}"
