"""Synthetic spectra: the grid that the mock makes, trainings that go back to it, lines that are learnt from it."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.patches import Patches
from starglot.config.queries import sizes_of, starts_from
from starglot.config.root import Config
from starglot.config.strict import init_of
from starglot.config.variants import model_at
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES


def replayed_from(config: Config, task: str, model: str, size: str) -> tuple[str, str, str] | None:
    """(task, model, size) whose training spectra come again in the training of ``model``, if any do."""
    settings = model_at(config, model, size)
    if not isinstance(settings, PatchLlm) or not settings.training.replay:
        return None
    return starts_from(config, task, model)


def lines_from(config: Config, task: str, model: str, size: str) -> tuple[str, str] | None:
    """(task, size) of the synthetic spectra that teach estimates of ``model`` the elements' lines, if any do."""
    settings = model_at(config, model, size)
    if not isinstance(settings, PatchLlm) or settings.training.estimates.lines is None:
        return None
    lines = settings.training.estimates.lines
    return (lines.task, lines.size) if set(config.tasks[task].labels) & set(ABUNDANCE_NAMES) else None


def lines_faults(config: Config) -> Iterator[str]:
    """A sentence for every model whose estimates cannot learn lines as they are to."""
    for name, model in config.models.items():
        if not isinstance(model, PatchLlm):
            continue
        for at, plan in {"training": model.training, **{f"by_size.{k}": v for k, v in model.by_size.items()}}.items():
            lines, where = plan.estimates.lines, f"models.{name}.{at}.estimates.lines"
            if lines is None:
                continue
            encoding = config.encodings.get(model.encoding)
            if isinstance(encoding, Patches) and encoding.estimates is None:
                yield f"{where}: encoding '{model.encoding}' has no estimates to teach; give it `estimates: {{}}`"
            source = config.tasks.get(lines.task)
            if source is None or lines.size not in source.sample.sizes:
                yield f"{where}: there is no task '{lines.task}' of size '{lines.size}'"
                continue
            if lacking := [label for label in ATMOSPHERE_NAMES if label not in source.labels]:
                yield f"{where}: task '{lines.task}' must also ask for {', '.join(lacking)}"
            for task in config.run.tasks:
                asked = config.tasks.get(task)
                if (
                    asked is None
                    or name in config.run.without.get(task, [])
                    or not (wanted := set(asked.labels) & set(ABUNDANCE_NAMES))
                ):
                    continue
                if not wanted & set(source.labels):
                    yield f"{where}: task '{lines.task}' has none of the abundances that '{task}' asks for"
                if config.recipe_of(asked.view).wavelength != config.recipe_of(source.view).wavelength:
                    yield f"{where}: '{lines.task}' and '{task}' are on different wavelength grids"


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
            if task not in config.tasks or name in config.run.without.get(task, []) or earlier is None:
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
