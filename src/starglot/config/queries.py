"""The settings that each rule receives: the leaves of the configuration that it reads, and no others.

A rule's params hold these mappings, so a changed leaf reruns exactly the rules that read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from starglot.config.degradation import ALTERED, Change
from starglot.config.kinds.llm import Llm
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.kinds.registry import family_of, is_language_model, reading
from starglot.config.names import Variant
from starglot.config.patches import Patches
from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.strict import PretrainedBase, init_of
from starglot.config.surveys.common import SpectrumSurvey
from starglot.config.surveys.registry import Surveys
from starglot.config.tasks import Task
from starglot.config.transfer import LanguageTransfer, NetworkTransfer
from starglot.config.trials import ablation_sizes
from starglot.config.variants import has_passes, members_of, model_of, own_seeds, sample_name, variant
from starglot.errors import StarglotError
from starglot.forms import FORMS, Form
from starglot.labels import CLASSES

#: Settings of language models, whether they read flux as text or as tokens.
LanguageModel: TypeAlias = Llm | PatchLlm

#: The prediction set of spectra that a survey holds out.
HELD_OUT = "held_out"

#: Prediction sets that are samples of their own, not splits of one: spectra that a survey's labels judge, by the
#: survey's name, those that it holds out, and the mock's own-line test.
SAMPLED_SETS: tuple[str, ...] = (*Surveys.model_fields, HELD_OUT, "own_line")

#: The prediction set that all sizes of the scaling sweep have in common.
SWEEP_SET = "sweep"

#: Fields of a sample that decide which stars are drawn, not what is asked of them.
_DRAWING = {"sizes", "shortage", "balanced", "strata"}


def dump(model: BaseModel, **kwargs: Any) -> dict[str, Any]:
    """A model as JSON-able data."""
    return model.model_dump(mode="json", **kwargs)


def task_params(task: Task, *, training: bool = False) -> dict[str, Any]:
    """The task as far as questions, answers and truth depend on it (no sizes: adding one changes no other)."""
    question = dump(task.question, exclude=set() if training else {"ask_all"})
    sample = dump(task.sample, exclude={*_DRAWING, "groups"})
    return {"question": question, "sample": {**sample, "groups": None, "sizes": {}, "balanced": False}}


def grouped_task_params(task: Task) -> dict[str, Any]:
    """The same with the groups, for jobs that need the group of a spectrum."""
    about = task_params(task)
    return {**about, "sample": {**about["sample"], "groups": dump(task.sample)["groups"]}}


def form_of(config: Config, task: str) -> Form:
    """The form in which a task asks."""
    return FORMS[config.tasks[task].question.form]


def decimals(config: Config) -> dict[str, int]:
    """Digits after the point by label, of all tasks together (the first task that names a label decides)."""
    found: dict[str, int] = {}
    for task in config.tasks.values():
        found = {**task.question.decimals, **found}
    return found


def sizes_of(config: Config, task: str) -> list[str]:
    """The sizes of ``task`` that are built, smallest first (null, all there are, counts as the largest)."""
    return _by_count(config, task, config.run.sizes)


def _by_count(config: Config, task: str, names: list[str]) -> list[str]:
    sizes = config.tasks[task].sample.sizes
    return sorted(
        [size for size in names if size in sizes],
        key=lambda size: float("inf") if sizes[size] is None else float(sizes[size] or 0),
    )


def smallest_size(config: Config, task: str) -> str:
    """The size whose test split is the set 'common'."""
    return sizes_of(config, task)[0]


def sweep_sizes(config: Config, task: str) -> list[str]:
    """The sizes of ``task`` in the scaling sweep, smallest first; none for a task that is not swept."""
    if task not in config.scaling.tasks:
        return []
    if config.scaling.sizes is None:
        return sizes_of(config, task)
    return _by_count(config, task, config.scaling.sizes)


def sweep_test_size(config: Config, task: str) -> str:
    """The size whose test split all models of the sweep are tried on: as for `common`, if none is named.

    Raises StarglotError where the task has no sizes in the sweep.
    """
    sizes = sweep_sizes(config, task)
    if not sizes:
        raise StarglotError(
            f"the scaling sweep has no size of task '{task}'",
            where="scaling",
            allowed=f"sizes of the task: {', '.join(config.tasks[task].sample.sizes)}",
            todo="name some under scaling: sizes, and the task under scaling: tasks",
        )
    return config.scaling.test_size or (sizes_of(config, task) or sizes[-1:])[0]


def repeated_models(config: Config, task: str, *, folds_only: bool = False) -> list[str]:
    """Models of other seeds and of all folds that `repeats:` asks for, at a task."""
    repeats, here, names = config.repeats, config.models_of(task), []
    for name in (each for each in repeats.models if each in here):
        own = own_seeds(config, name)
        names += [Variant(name, seed).name for seed in repeats.seeds if own and own != {seed} and not folds_only]
        names += [Variant(name, fold=fold).name for fold in range(config.split.folds if repeats.folds else 0)]
    return names


def sweep_models(config: Config, task: str) -> list[str]:
    """Every model of a task's scaling sweep: seeds and passes of those named, as far as each has them.

    Where none is named, these are the task's models of `run:`.  A seed that is a model's own is the model itself; so
    is one pass.
    """
    names = []
    for name in config.scaling.models or config.models_of(task):
        model = config.models[name]
        own = own_seeds(config, name)
        seeds = [None if own == {seed} else seed for seed in config.scaling.seeds if own]
        factors = [None if factor == 1 else factor for factor in config.scaling.passes if has_passes(model)]
        names += [Variant(name, seed, None, factor).name for factor in factors or [None] for seed in seeds or [None]]
    return list(dict.fromkeys(names))


def sweep_set(config: Config, task: str, size: str) -> str:
    """The sweep's test set as a set of a model of ``size``: under a name of `run:`, where it is the same."""
    common = sweep_test_size(config, task)
    if size == common:
        return "test"
    return "common" if common in sizes_of(config, task)[:1] else SWEEP_SET


def common_set(config: Config, task: str, size: str) -> str:
    """The set `common`, as a set of a model of ``size``: 'test' where it is that."""
    return "test" if size == smallest_size(config, task) else "common"


def label_surveys(config: Config, survey: str) -> list[str]:
    """Surveys that are matched to ``survey``: label sources and judges of its tasks, and the other ones of pairs."""
    tasks = [name for name in config.seen_tasks if View(config.tasks[name].view).survey == survey]
    sources = {config.tasks[name].sample.source for name in tasks}
    judging = (judges(config, name) for name in tasks if name in config.run.tasks)
    pairs = (config.pairs[name].surveys for name in config.used_pairs)
    return sorted(sources.union(*judging, *(surveys for surveys in pairs if survey in surveys)) - {survey})


def judges(config: Config, task: str) -> list[str]:
    """The surveys of ``run: validation`` that bring any of a task's labels."""
    labels, named = set(config.tasks[task].labels), config.surveys.named()
    return [survey for survey in config.run.validation if labels & set(named[survey].brings)]


def holds_out(config: Config, survey: str) -> bool:
    """Whether what a survey holds out is a prediction set of `run:`."""
    return HELD_OUT in config.run.sets and survey in viewed_surveys(config, config.run.tasks)


def wanted_spectra(config: Config, survey: str) -> list[dict[str, Any]]:
    """What the tasks that are built, or started from, need of a survey's spectra: ``labels`` and ``counts`` of each.

    counts: spectra that the largest sample needs of each class (None: all there are), under 'all' those of any class
    or none, where the task goes without classes.  A task that learns from another survey needs the spectra that are
    matched: of it, no labels and no counts; and so do pairs.
    """
    found = []
    for name in config.seen_tasks:
        sample = config.tasks[name].sample
        if View(sample.view).survey != survey:
            continue
        started = [size for task, size in config.starts if task == name]
        swept = [*sweep_sizes(config, name), *ablation_sizes(config, name)]
        sizes = dict.fromkeys([*sizes_of(config, name), *swept, *started])
        wanted = [sample.sizes[size] for size in sizes]
        if sample.source != survey:
            counts: dict[str, int | None] = {} if sample.by_class else {"all": 0}
        elif sample.by_class:
            shares = [None if n is None or not sample.balanced else -(-n // len(CLASSES)) for n in wanted]
            counts = dict.fromkeys(CLASSES, _largest(shares))
        else:
            counts = {"all": _largest(wanted)}
        found.append({"labels": config.tasks[name].labels if sample.source == survey else [], "counts": counts})
    if any(survey in config.pairs[name].surveys for name in config.used_pairs):
        found.append({"labels": [], "counts": {"all": 0}})
    return found


def _largest(counts: list[int | None]) -> int | None:
    return None if None in counts else max((n for n in counts if n is not None), default=0)


def made_by_mock(config: Config, survey: str) -> bool:
    """Whether a mock release brings a survey's files: that of the stars, or a part of `mock` of the survey's own."""
    settings = config.surveys.named()[survey]
    part = settings.mock_part
    return config.mock is not None and (bool(getattr(config.mock, part)) if part else settings.in_mock)


def viewed_surveys(config: Config, tasks: Iterable[str]) -> list[str]:
    """The surveys whose spectra these tasks ask about, each once."""
    return list(dict.fromkeys(View(config.tasks[name].view).survey for name in tasks))


def release_of(config: Config, *tasks: str) -> str:
    """Release of the spectra that these tasks, or all of `run:`, ask about; of several surveys, with their names."""
    surveys = [config.surveys.with_spectra()[name] for name in viewed_surveys(config, tasks or config.run.tasks)]
    if len(surveys) == 1:
        return surveys[0].release
    return ", ".join(f"{survey.title} {survey.release}" for survey in surveys)


def objects_of(surveys: Iterable[SpectrumSurvey]) -> str:
    """What the spectra of these surveys are of: 'stars', 'galaxies'; 'objects' where they differ."""
    words = {survey.objects for survey in surveys}
    return words.pop() if len(words) == 1 else "objects"


def about_spectra(config: Config, *tasks: str) -> dict[str, Any]:
    """What captions say of the spectra that these tasks, or all of `run:`, ask about.

    release: as of :func:`release_of`; mock: whether they are simulated; objects: what they are of.
    """
    surveys = [config.surveys.with_spectra()[name] for name in viewed_surveys(config, tasks or config.run.tasks)]
    return {
        "release": release_of(config, *tasks),
        "mock": config.mock is not None,
        "objects": objects_of(surveys),
    }


def starts_from(config: Config, task: str, model: str) -> tuple[str, str, str] | None:
    """(task, model, size) of the trained model that ``model`` starts from at ``task``, if any.

    A model of another seed starts from one of that seed, and one that leaves a fold out from one that left it out.
    One from scratch starts from none.
    """
    init = init_of(model_of(config, model))
    if init is None or going_on(config, task, model).get("strategy") in (None, "scratch"):
        return None
    said = variant(config, model)
    return init.task, replace(said, model=init.model or said.model, passes=None).name, init.size


def going_on(config: Config, task: str, model: str) -> dict[str, Any]:
    """How ``model`` goes on from its start at ``task``: the keys of `transfer` that its strategy reads.

    Empty where it has no start there: a model without `init`, or at the task of its `init`.
    """
    settings: Any = model_of(config, model)
    init = init_of(settings)
    if init is None or init.task == task:
        return {}
    transfer = settings.transfer or (LanguageTransfer() if is_language_model(settings) else NetworkTransfer())
    read: dict[str, Any] = transfer.as_read
    return read


def trained_on(config: Config, task: str, model: str, size: str) -> list[tuple[str, str]]:
    """(task, sample) of all whose training stars a model has seen: its own, its start's, its base's, its lines'."""
    samples = [(task, sample_name(config, model, size))]
    start = starts_from(config, task, model)
    if start:
        samples += trained_on(config, start[0], start[1], start[2])
    settings = model_of(config, model)
    if members := members_of(settings):
        return sorted({seen for member in members for seen in trained_on(config, task, member, size)})
    base = config.bases.get(getattr(settings, "base", None) or "")
    if isinstance(base, PretrainedBase):
        samples.append((base.task, base.size))
    samples += getattr(settings, "lines_samples", [])
    return sorted(set(samples))


def set_source(config: Config, task: str, size: str, name: str) -> tuple[str, str]:
    """(size, split) whose spectra make up the prediction set ``name`` of a model trained at ``size``.

    External, own-line and altered spectra are a sample and a split of their own, both of the set's name.
    """
    if is_sampled(name):
        return name, name
    if name == "common":
        return smallest_size(config, task), "test"
    if name == SWEEP_SET:
        return sweep_test_size(config, task), "test"
    return size, name


def altered_sets(config: Config) -> list[str]:
    """The prediction sets of altered test spectra, in the order of the degradation table."""
    return [change.set for change in config.degradation.changes]


def change_of(config: Config, name: str) -> Change:
    """The change behind an altered set."""
    return next(change for change in config.degradation.changes if change.set == name)


def is_sampled(name: str) -> bool:
    """Whether a prediction set is a sample of its own, with labels of its own."""
    return name in SAMPLED_SETS or name.startswith(ALTERED)


def judged_set(config: Config) -> str:
    """The set that tables by number and most figures are made of: the first of `run:`, test where there is one."""
    return "test" if "test" in config.run.sets else config.run.sets[0]


def language_models(config: Config) -> dict[str, LanguageModel]:
    """The language models of the configuration, by name."""
    return {name: cast(LanguageModel, model) for name, model in config.models.items() if is_language_model(model)}


def token_encodings(config: Config) -> list[str]:
    """Names of the encodings by which flux becomes tokens, and no text."""
    return [name for name, encoding in config.encodings.items() if isinstance(encoding, Patches)]


def run_language_models(config: Config, task: str | None = None) -> list[str]:
    """Names of those in `run:`, or of those that a task is built with."""
    return [name for name in config.models_of(task) if is_language_model(config.models[name])]


def curved(config: Config, models: Iterable[str]) -> list[str]:
    """Those of the ``models`` whose training leaves a loss curve."""
    return [name for name in models if family_of(config.models[name]).curve]


def baseline_of(config: Config, task: str | None) -> list[str]:
    """What a task's LLM is compared with: the one named, else the last ResNet-50, else the last that is no blend."""
    named, here = config.tables.baseline, config.models_of(task)
    if named and named in here:
        return [named]
    readers = reading(here, config.models, "spectra")
    return ([name for name in readers if config.models[name].kind == "resnet50"] or readers)[-1:]


def judged_outside(config: Config, task: str | None) -> list[str]:
    """Models of a task that external surveys judge: the LLMs and the one that they are compared with."""
    return [*run_language_models(config, task), *baseline_of(config, task)]


def leading_model(config: Config, task: str) -> str:
    """The model that a task's figures show: the first LLM, else the first of `run:`."""
    return next(iter(run_language_models(config, task)), config.models_of(task)[0])
