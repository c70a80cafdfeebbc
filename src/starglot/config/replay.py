"""A stage on synthetic spectra: the grid that the mock makes, and which trainings go back to where they started."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.queries import sizes_of, starts_from
from starglot.config.root import Config
from starglot.config.strict import init_of
from starglot.config.variants import model_at


def replayed_from(config: Config, task: str, model: str, size: str) -> tuple[str, str, str] | None:
    """(task, model, size) whose training spectra come again in the training of ``model``, if any do."""
    settings = model_at(config, model, size)
    if not isinstance(settings, PatchLlm) or not settings.training.replay:
        return None
    return starts_from(config, task, model)


def replay_faults(config: Config) -> Iterator[str]:
    """A sentence for every training that cannot go back to where it starts from."""
    for name, model in config.models.items():
        if not isinstance(model, PatchLlm):
            continue
        plans = {"training": model.training, **{f"by_size.{size}": plan for size, plan in model.by_size.items()}}
        init = init_of(model)
        if init is None:
            yield from (
                f"models.{name}.{at}.replay: it goes back to the task that `init` names, and there is none"
                for at, plan in plans.items()
                if plan.replay
            )
            continue
        earlier = config.tasks.get(init.task)
        for task in config.run.tasks:
            if task not in config.tasks or earlier is None:
                continue
            for size in sizes_of(config, task):
                if replayed_from(config, task, name, size) and _differ(config, task, init.task):
                    yield (
                        f"models.{name}: at task '{task}', size '{size}', `replay` would mix in questions of "
                        f"'{init.task}', which has other labels, another form or another wavelength grid; set "
                        f"`replay: 0` at this size (by_size.{size}.replay)"
                    )


def grid_faults(config: Config) -> Iterator[str]:
    """What is wrong with the grid that the mock is to make."""
    if config.mock and config.mock.synthetic:
        survey = config.surveys.synthetic
        if survey is None or len(survey.grids) != 1 or not survey.grids[0].endswith(".npz"):
            yield "mock.synthetic: its spectra are the one grid of surveys.synthetic; give that `grids: [<name>.npz]`"


def _differ(config: Config, one: str, other: str) -> bool:
    """Whether two tasks ask other questions, or about spectra on another grid."""
    first, second = config.tasks[one], config.tasks[other]
    same = (first.question.form, first.labels) == (second.question.form, second.labels)
    return not same or config.recipe_of(first.view).wavelength != config.recipe_of(second.view).wavelength
