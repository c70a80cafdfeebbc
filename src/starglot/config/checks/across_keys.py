"""Rules that span several keys of the configuration; each returns sentences, all faults at once."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.applied import catalogue_faults
from starglot.config.bases.outside import is_hub_id
from starglot.config.by_size import at_size
from starglot.config.checks.alignment import alignment_faults, pair_faults
from starglot.config.checks.encoders import encoder_faults
from starglot.config.checks.flux import encoding_faults, task_grids, wavelength_faults
from starglot.config.checks.held_out import held_out_faults
from starglot.config.checks.masked_patches import patch_base_faults
from starglot.config.checks.paths import path_faults
from starglot.config.checks.strata import strata_faults
from starglot.config.control import control_faults
from starglot.config.degradation import Change
from starglot.config.faults import unknown, view_faults
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.language_bases import random_bases, tiny_bases
from starglot.config.names import Variant, read_name
from starglot.config.patches import Patches
from starglot.config.queries import LanguageModel, is_sampled, language_models, made_by_mock
from starglot.config.recipes import View
from starglot.config.replay import grid_faults, lines_faults, replay_faults
from starglot.config.retained import retention_faults
from starglot.config.root import Config, Model
from starglot.config.starts import pipeline_faults, start_faults
from starglot.config.strict import init_of
from starglot.config.surveys.registry import Surveys
from starglot.config.tasks import Bins, Task
from starglot.config.trials import ablation_faults
from starglot.config.variants import members_of
from starglot.forms import FORMS
from starglot.labels import LABELS


def cross_check(config: Config) -> list[str]:
    """Every fault that no single value shows."""
    return [
        *path_faults(config),
        *wavelength_faults(config),
        *_splits(config),
        *_tasks(config),
        *pair_faults(config),
        *encoding_faults(config),
        *_models(config),
        *_circles(config),
        *start_faults(config),
        *pipeline_faults(config),
        *replay_faults(config),
        *lines_faults(config),
        *_bases(config),
        *encoder_faults(config),
        *alignment_faults(config),
        *patch_base_faults(config),
        *_run(config),
        *grid_faults(config),
        *_degradation(config),
        *_scaling(config),
        *ablation_faults(config),
        *catalogue_faults(config),
        *retention_faults(config),
        *held_out_faults(config),
    ]


def _splits(config: Config) -> Iterator[str]:
    total = config.split.train + config.split.val + config.split.test
    if abs(total - 1) > 1e-9:
        yield f"split: train + val + test must be 1, they are {total:g}"


def _tasks(config: Config) -> Iterator[str]:
    for name, task in config.tasks.items():
        yield from _question(config, f"tasks.{name}", task)
        yield from _sample(config, f"tasks.{name}.sample", task)


def _question(config: Config, at: str, task: Task) -> Iterator[str]:
    question, source = task.question, config.surveys.named().get(task.sample.source)
    form = FORMS.get(question.form)
    if form is None:
        yield unknown(f"{at}.question.form", question.form, FORMS)
    elif form.asks_class and not task.sample.by_class:
        yield f"{at}.question.form: '{question.form}' asks for the class; it needs sample: groups: classes"
    for label in question.labels:
        if label not in LABELS:
            yield unknown(f"{at}.question.labels", label, LABELS)
        elif source and label not in source.brings:
            brings = ", ".join(source.brings)
            yield (f"{at}.question.labels: '{label}' is not learnt from {task.sample.source}, which brings {brings}")
    if len(set(question.labels)) < len(question.labels):
        yield f"{at}.question.labels: a label is named twice"
    for label, digits in question.decimals.items():
        if label not in LABELS:
            yield unknown(f"{at}.question.decimals", label, LABELS)
        if not 0 <= digits <= 6:
            yield f"{at}.question.decimals.{label}: {digits} is out of range 0-6"


def _sample(config: Config, at: str, task: Task) -> Iterator[str]:
    sample, groups = task.sample, task.sample.group_names
    yield from view_faults(config, f"{at}.view", sample.view)
    if sample.source not in Surveys.model_fields:
        yield unknown(f"{at}.source", sample.source, Surveys.model_fields)
    if isinstance(sample.groups, Bins) and sample.groups.bins.label not in task.labels:
        yield unknown(f"{at}.groups.bins.label", sample.groups.bins.label, task.labels)
    yield from strata_faults(at, task)
    if sample.balanced and not groups:
        yield f"{at}.balanced: there is nothing to balance over, as groups is null; set balanced: false"
    for size, count in sample.sizes.items():
        if read_name(size).is_variant:
            yield f"{at}.sizes.{size}: endings in .s, .f or .x and a number are those of variants"
        if is_sampled(size):
            yield f"{at}.sizes.{size}: '{size}' is the name of a prediction set; call the size something else"
        if count is not None and count < 1:
            yield f"{at}.sizes.{size}: {count} is not a number of spectra"
        elif count is not None and sample.balanced and count < len(groups):
            yield f"{at}.sizes.{size}: {count} cannot be balanced over {len(groups)} groups"
    survey = View(sample.view).survey
    viewed = config.surveys.with_spectra().get(survey)
    held = viewed.class_counts if viewed else None
    if sample.balanced and sample.by_class and sample.shortage == "error" and held:
        for size in set(sample.sizes) & {*config.run.sizes, *(config.scaling.sizes or [])}:
            for letter in groups:
                wanted = (sample.sizes[size] or 0) // len(groups)
                if wanted > held.get(letter, 0):
                    yield (
                        f"{at}.sizes.{size}: asks for {wanted} of class {letter}, the release holds "
                        f"{held.get(letter, 0)} (surveys.{survey}.class_counts)"
                    )
    counted = [c for c in sample.sizes.values() if c is not None]
    if (
        config.mock
        and viewed
        and made_by_mock(config, survey)
        and not viewed.mock_part
        and counted
        and not sample.balanced
        and min(counted) > config.mock.spectra
    ):
        yield f"{at}.sizes: all are larger than the mock release ({config.mock.spectra} spectra)"


def _models(config: Config) -> Iterator[str]:
    for name, model in config.models.items():
        at = f"models.{name}"
        said = read_name(name)
        if said.is_variant:
            yield (
                f"{at}: this is the name of a variant of '{said.model}' (.s1: seed 1, .f3: without fold 3, "
                ".x2: twice the passes); call it something else"
            )
        yield from _members(config, f"{at}.members", model)
        width = getattr(model, "bin", 1)
        for grid, values in task_grids(config):
            if width > values:
                yield f"{at}.bin: {width} is more than the {values} values of {grid}"
        sizes = sorted({size for task in config.tasks.values() for size in task.sample.sizes})
        named = getattr(model, "by_size", {})
        yield from (unknown(f"{at}.by_size", size, sizes) for size in named if size not in sizes)
        yield from _start(config, f"{at}.init", model)
    for name, llm in language_models(config).items():
        yield from _language_model(config, f"models.{name}", llm)


def _language_model(config: Config, at: str, model: LanguageModel) -> Iterator[str]:
    if model.encoding not in config.encodings:
        yield unknown(f"{at}.encoding", model.encoding, config.encodings)
    elif isinstance(config.encodings[model.encoding], Patches) != isinstance(model, PatchLlm):
        of = (
            "a kind: patch_llm reads patch tokens"
            if isinstance(model, PatchLlm)
            else "patch tokens need kind: patch_llm"
        )
        yield f"{at}.encoding: '{model.encoding}' has form {config.encodings[model.encoding].form}; {of}"
    taught, untaught = tiny_bases(config).get(model.base), random_bases(config).get(model.base)
    built = taught or untaught
    if isinstance(model, PatchLlm):
        if taught:
            yield (
                f"{at}.base: '{model.base}' was pre-trained on flux as text (encoding '{taught.encoding}'); a model "
                "of kind patch_llm stands on a base of kind random, like or masked_patches, a folder or a Hugging "
                "Face id"
            )
    elif untaught:
        yield f"{at}.base: '{model.base}' is of kind random and writes no digits; give this model one of kind tiny"
    elif taught and taught.encoding != model.encoding:
        yield f"{at}: its base '{model.base}' was made for encoding '{taught.encoding}', not '{model.encoding}'"
    if built and model.lora.rank > built.hidden:
        yield f"{at}.lora.rank: {model.lora.rank} is out of range 1-{built.hidden} (the base's width)"
    if model.revision and (built or not is_hub_id(model.base)):
        kind = "a base that is built here" if built else "a folder"
        yield f"{at}.revision: '{model.base}' is {kind}; only a Hugging Face id has revisions"
    plans = {f"{at}.training": model.training}
    plans |= {f"{at}.by_size.{size}": at_size(model, size).training for size in model.by_size}
    for where, plan in plans.items():
        if plan.gpus % plan.nodes:
            yield f"{where}: {plan.gpus} GPU(s) cannot be shared out evenly over {plan.nodes} nodes"


def _start(config: Config, at: str, model: Model) -> Iterator[str]:
    """What is wrong with the model that this one is to start from, if any."""
    init = init_of(model)
    if init is None:
        return
    yield from _task_and_size(config, at, init.task, init.size)
    if init.model is None:
        return
    if init.model not in config.models:
        yield unknown(f"{at}.model", init.model, config.models)
    elif (kind := config.models[init.model].kind) != model.kind:
        yield f"{at}.model: '{init.model}' is of kind {kind}; a model starts from one of its own kind, {model.kind}"


def _circles(config: Config) -> Iterator[str]:
    """Models that start from one another without end."""
    for name in config.models:
        for first in config.tasks:
            task, model, been = first, name, set[tuple[str, str]]()
            while (task, model) not in been:
                been.add((task, model))
                init = init_of(config.models.get(model))
                if init is None or init.task == task:
                    break
                task, model = init.task, init.model or model
            else:
                yield f"models.{name}.init: at task '{first}' it starts, over other models, from itself"
                break


def _members(config: Config, at: str, model: Model) -> Iterator[str]:
    members = members_of(model)
    for name in members:
        if name not in config.models:
            yield unknown(at, name, config.models)
        elif members_of(config.models[name]):
            yield f"{at}: '{name}' is an ensemble itself; name its members instead"
    if len(set(members)) < len(members):
        yield f"{at}: a model is named twice"


def _bases(config: Config) -> Iterator[str]:
    for name, tiny in tiny_bases(config).items():
        at = f"bases.{name}"
        yield from _task_and_size(config, at, tiny.task, tiny.size)
        if tiny.encoding not in config.encodings:
            yield unknown(f"{at}.encoding", tiny.encoding, config.encodings)
    shapes = {name: (base.hidden, base.heads) for name, base in tiny_bases(config).items()}
    shapes |= {name: (base.hidden, base.heads) for name, base in random_bases(config).items()}
    for name, (hidden, heads) in shapes.items():
        if hidden % heads:
            yield f"bases.{name}: hidden ({hidden}) must be a multiple of heads ({heads})"


def _task_and_size(config: Config, at: str, task: str, size: str) -> Iterator[str]:
    if task not in config.tasks:
        yield unknown(f"{at}.task", task, config.tasks)
    elif size not in config.tasks[task].sample.sizes:
        yield unknown(f"{at}.size", size, config.tasks[task].sample.sizes)


def _run(config: Config) -> Iterator[str]:
    run = config.run
    for task in run.tasks:
        if task not in config.tasks:
            yield unknown("run.tasks", task, config.tasks)
            continue
        definition = config.tasks[task].sample
        if not set(run.sizes) & set(definition.sizes):
            yield f"run.sizes: none is a size of task '{task}' ({', '.join(definition.sizes)})"
        for survey in run.validation:
            if survey in (definition.source, View(definition.view).survey):
                yield f"run.validation: '{task}' learns from {survey} or asks about its spectra; take another judge"
    yield from _surveys_used(config)
    every = {size for task in config.tasks.values() for size in task.sample.sizes}
    for size in run.sizes:
        if size not in every:
            yield unknown("run.sizes", size, sorted(every))
    for model in run.models:
        if model not in config.models:
            yield unknown("run.models", model, config.models)
    yield from _left_out(config)
    baseline = config.tables.baseline
    others = [name for name in config.models if name not in language_models(config)]
    if baseline and baseline not in others:
        yield unknown("tables.baseline", baseline, others)
    for survey in run.validation:
        if survey not in Surveys.model_fields:
            yield unknown("run.validation", survey, Surveys.model_fields)
        elif survey not in config.surveys.named():
            yield f"run.validation: surveys.{survey} is null"


def _left_out(config: Config) -> Iterator[str]:
    """Models that tasks do without, also where a run was narrowed to others: a task needs one at least."""
    for task, models in config.run.without.items():
        if task not in config.tasks:
            yield unknown("run.without", task, config.tasks)
        for model in models:
            if model not in config.models:
                yield unknown(f"run.without.{task}", model, config.models)
        if task in config.run.tasks and not config.models_of(task):
            yield f"run.without.{task}: no model of run.models is left; take the task out of run.tasks instead"


def _surveys_used(config: Config) -> Iterator[str]:
    """Surveys that are null, and that what is built needs: other tasks may name them."""
    named = config.surveys.named()
    for at, tasks in (("run.tasks", config.run.tasks), ("scaling.tasks", config.scaling.tasks)):
        for task in tasks:
            if task not in config.tasks:
                continue
            sample = config.tasks[task].sample
            for survey, use in ((View(sample.view).survey, "asks about"), (sample.source, "learns from")):
                if survey in Surveys.model_fields and survey not in named:
                    yield f"{at}: '{task}' {use} {survey}, but surveys.{survey} is null"


def _scaling(config: Config) -> Iterator[str]:
    sweep = config.scaling
    for task in sweep.tasks:
        if task not in config.tasks:
            yield unknown("scaling.tasks", task, config.tasks)
            continue
        for size in sweep.sizes or []:
            if size not in config.tasks[task].sample.sizes:
                yield unknown(f"scaling.sizes (task '{task}')", size, config.tasks[task].sample.sizes)
        if sweep.test_size and sweep.test_size not in config.tasks[task].sample.sizes:
            yield unknown(f"scaling.test_size (task '{task}')", sweep.test_size, config.tasks[task].sample.sizes)
    for model in sweep.models or []:
        if model not in config.models:
            yield unknown("scaling.models", model, config.models)
    yield from control_faults(config)
    for model in config.repeats.models:
        if model not in config.run.models:
            yield unknown("repeats.models", model, config.run.models)
    for model in config.comparison.models or []:
        if model not in config.models:
            yield unknown("comparison.models", model, config.models)
    if len(set(config.comparison.seeds)) < len(config.comparison.seeds):
        yield "comparison.seeds: one is named twice"
    for factor in sweep.passes:
        if read_name(Variant("model", passes=factor).name).passes != factor:
            yield f"scaling.passes: {factor:g} has more than three decimals; they are part of a model's name"
    for key in ("seeds", "passes", "sizes", "models"):
        given = getattr(sweep, key) or []
        if len(set(given)) < len(given):
            yield f"scaling.{key}: one is named twice"


def _degradation(config: Config) -> Iterator[str]:
    named = set[str]()
    for change in config.degradation.changes:
        at = f"degradation.changes.{change.name}"
        if change.name in named:
            yield f"{at}: two changes have this name"
        named.add(change.name)
        if change == Change(name=change.name):
            yield f"{at}: it changes nothing; give resolution, snr, missing, velocity, tilt or format"
        if change.resolution and change.resolution >= config.degradation.resolution:
            own = config.degradation.resolution
            yield f"{at}.resolution: {change.resolution:g} is not below the spectra's own, {own:g}"
        for low, high in change.missing:
            if not low < high:
                yield f"{at}.missing: {low:g}-{high:g} A is no window; give its blue end first"
