"""Models and the trained ones that they start from: what must fit between them, and how the first go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from starglot.config.embeddings import line_of
from starglot.config.kinds.registry import KINDS, family_of
from starglot.config.queries import going_on, starts_from
from starglot.config.recipes import View
from starglot.config.root import Config, Model
from starglot.config.strict import Init, init_of
from starglot.config.tasks import Task
from starglot.config.variants import model_of
from starglot.errors import StarglotError

#: Strategies that take the trained model's outputs as they are.
_NOTHING_NEW = ("zero_shot", "residual")
#: Settings that decide what a model reads.
_READ = ("bin", "preparation", "encoder")


def start_faults(config: Config) -> Iterator[str]:
    """What is wrong between models and their starts, at the tasks that are built."""
    tasks = [name for name in dict.fromkeys([*config.run.tasks, *config.scaling.tasks]) if name in config.tasks]
    built = {task: {*config.models_of(task), *(config.scaling.models or [])} for task in tasks}
    for name, model in config.models.items():
        init = init_of(model)
        if init is None:
            if getattr(model, "transfer", None) is not None:
                yield (
                    f"models.{name}.transfer: it says how a model goes on from a trained one; name that one in "
                    f"models.{name}.init, or leave transfer out"
                )
            continue
        start = config.models.get(init.model or name)
        if start is None or start.kind != model.kind or init.task not in config.tasks:
            continue  # said elsewhere
        yield from _same_reading(config, f"models.{name}", model, init, start)
        yield from _no_residual(config, name, init)
        for task in tasks:
            if name in built[task] and starts_from(config, task, name):
                yield from _fits(config, f"models.{name}", task, name)


def fitting_start(config: Config, task: str, model: str) -> tuple[str, str, str] | None:
    """:func:`starglot.config.queries.starts_from`, once it fits: tasks need not be those that `run:` names.

    Raises StarglotError that lists what does not fit.
    """
    start = starts_from(config, task, model)
    faults = list(_fits(config, f"models.{model}", task, model)) if start else []
    if faults:
        raise StarglotError(
            f"{model} cannot start at '{task}' from what it learnt at '{start and start[0]}':\n"
            + "\n".join(f"  - {fault}" for fault in faults),
            where=f"models.{model}",
            todo="correct the values above; docs/transfer.md says what has to fit",
        )
    return start


def _same_reading(config: Config, at: str, model: Model, init: Init, start: Model) -> Iterator[str]:
    for key in _READ:
        mine, theirs = getattr(model, key, None), getattr(start, key, None)
        if mine != theirs:
            yield f"{at}.{key}: {mine}, but '{init.model}', which it starts from, has {theirs}; give both the same"
    mine, theirs = (getattr(each, "base", None) for each in (model, start))
    if family_of(model).needs == "spectra" and theirs != mine and theirs not in line_of(config, mine or ""):
        yield (
            f"{at}.base: {mine}, but '{init.model}', which it starts from, has {theirs}; give both the same, or this "
            "one an encoder that goes on from the other's"
        )


def _no_residual(config: Config, name: str, init: Init) -> Iterator[str]:
    """A correction of a correction is refused: the file of a model has room for one."""
    start = init.model or name
    strategy = going_on(config, init.task, start).get("strategy")
    if strategy == "residual":
        yield (
            f"models.{name}.init: at task '{init.task}', '{start}' is itself the residual correction of another "
            "model; start from that one, or give it transfer: full or lora"
        )


def _fits(config: Config, at: str, task: str, name: str) -> Iterator[str]:
    """What a model at a task has not in common with its start, and needs."""
    model, mine = model_of(config, name), config.tasks[task]
    begun = starts_from(config, task, name)
    if begun is None:
        return
    theirs, family = config.tasks[begun[0]], family_of(model)
    if family.needs != "questions" and _grids_differ(config, mine, theirs):
        yield (
            f"{at}.init: task '{task}' is on the grid of recipe '{View(mine.view).recipe}', '{begun[0]}' on another, "
            f"that of '{View(theirs.view).recipe}'; a model starts from one of the same wavelengths"
        )
    strategy = going_on(config, task, name)["strategy"]
    if strategy not in _NOTHING_NEW:
        return
    others = "lora or scratch" if family.language else "full, lora or scratch"
    unknown = [label for label in mine.labels if label not in theirs.labels]
    if unknown:
        yield (
            f"{at}.transfer.strategy: {strategy} answers what the model learnt at '{begun[0]}' "
            f"({', '.join(theirs.labels)}); task '{task}' wants {', '.join(unknown)} as well: take {others}"
        )
    if family.language and mine.question.form != theirs.question.form:
        yield (
            f"{at}.transfer.strategy: {strategy} needs a question of the same form; '{begun[0]}' has form "
            f"{theirs.question.form}, '{task}' {mine.question.form}: take {others}"
        )
    groups, learnt = mine.sample.group_names, theirs.sample.group_names
    if not family.language and groups not in ((), learnt):
        yield (
            f"{at}.transfer.strategy: {strategy} tells the groups of '{begun[0]}' ({', '.join(learnt) or 'none'}), "
            f"and '{task}' has others: take {others}, or set tasks.{task}.sample.groups to null"
        )


def _grids_differ(config: Config, one: Task, other: Task) -> bool:
    recipes = [config.recipes.get(View(task.view).recipe) for task in (one, other)]
    grids = [recipe.wavelength for recipe in recipes if recipe]
    return len(grids) == 2 and grids[0] != grids[1]


def pipeline_faults(config: Config) -> Iterator[str]:
    """Of models that repeat a survey's own labels, at the tasks that are built."""
    surveys = config.surveys.named()
    for name in config.run.models:
        if name not in config.models or family_of(config.models[name]).needs != "catalogue":
            continue
        built = [each for each in config.run.tasks if each in config.tasks and name in config.models_of(each)]
        for task in map(config.tasks.__getitem__, built):
            own = View(task.view).survey
            if task.sample.source == own:
                yield (
                    f"models.{name}: it repeats the labels of {own}, which are the truth here; name a task that "
                    "learns those of another survey"
                )
            elif own in surveys and (lacking := [each for each in task.labels if each not in surveys[own].brings]):
                yield (
                    f"models.{name}: {own} measures no {', '.join(lacking)}, only {', '.join(surveys[own].brings)}"
                )


def transfer_tasks(config: Config) -> list[str]:
    """The tasks of `run:` at which any of its models goes on from a model of another view."""

    def carried(task: str, model: str) -> bool:
        start = starts_from(config, task, model)
        return start is not None and config.tasks[start[0]].view != config.tasks[task].view

    return [task for task in config.run.tasks if any(carried(task, model) for model in config.models_of(task))]


def bases_of(config: Config) -> dict[str, str]:
    """The base that each model stands on, of those that do."""
    return {name: base for name, model in config.models.items() if (base := getattr(model, "base", None))}


def strategies(config: Config, tasks: Iterable[str], models: Iterable[str] | None = None) -> dict[str, str]:
    """How each of the models (the tasks' of `run:`) goes on from its start at these tasks; others are left out."""
    named = None if models is None else list(models)
    found = {
        model: going_on(config, task, model)
        for task in tasks
        for model in (config.models_of(task) if named is None else named)
    }
    return {model: str(said["strategy"]) for model, said in found.items() if said}


def explained_models(config: Config, task: str) -> dict[str, str]:
    """Networks of `run:` that go on from a start at a task and read flux as it is, each with its strategy."""
    return {
        model: strategy
        for model, strategy in strategies(config, [task]).items()
        if KINDS[config.models[model].kind].family == "network"
        and getattr(config.models[model], "preparation", "") == "as_is"
        and not getattr(config.models[model], "base", None)
    }
