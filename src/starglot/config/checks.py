"""Rules that span several keys of the configuration; each returns sentences, all faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from starglot.config.baselines import Ensemble, Network, Ridge, Spectrum
from starglot.config.bases import is_hub_id
from starglot.config.degradation import Change
from starglot.config.derive import is_sampled
from starglot.config.faults import nearest
from starglot.config.llm import Llm
from starglot.config.models import Config
from starglot.config.names import Derived, read_name
from starglot.config.paths import path_faults
from starglot.config.tasks import Bins, Task
from starglot.forms import FORMS
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES, LABELS


def cross_check(config: Config) -> list[str]:
    """Every fault that no single value shows."""
    return [
        *path_faults(config),
        *_wavelengths(config),
        *_splits(config),
        *_tasks(config),
        *_encodings(config),
        *_models(config),
        *_bases(config),
        *_run(config),
        *_degradation(config),
        *_scaling(config),
    ]


def unknown(path: str, name: str, valid: Iterable[str]) -> str:
    """Sentence about a name that is not there, with the nearest valid one."""
    return f"{path}: unknown name '{name}'; {nearest(name, valid, cutoff=0.4)}"


def _wavelengths(config: Config) -> Iterator[str]:
    grid, (low, high) = config.spectra.wavelength, config.surveys.lamost.coverage
    if grid.stop <= grid.start:
        yield f"spectra.wavelength: stop ({grid.stop:g}) must be above start ({grid.start:g})"
        return
    steps = (grid.stop - grid.start) / grid.step
    if abs(steps - round(steps)) > 1e-6:
        yield f"spectra.wavelength: step {grid.step:g} does not divide {grid.start:g}-{grid.stop:g}"
    if grid.start < low or grid.stop > high:
        yield (
            f"spectra.wavelength: {grid.start:g}-{grid.stop:g} A is not covered by the release "
            f"({low:g}-{high:g} A, surveys.lamost.coverage)"
        )


def _splits(config: Config) -> Iterator[str]:
    total = config.split.train + config.split.val + config.split.test
    if abs(total - 1) > 1e-9:
        yield f"split: train + val + test must be 1, they are {total:g}"


def _tasks(config: Config) -> Iterator[str]:
    for name, task in config.tasks.items():
        yield from _question(f"tasks.{name}", task)
        yield from _sample(config, f"tasks.{name}.sample", task)


def _question(at: str, task: Task) -> Iterator[str]:
    question, source = task.question, task.sample.source
    form = FORMS.get(question.form)
    if form is None:
        yield unknown(f"{at}.question.form", question.form, FORMS)
    elif form.asks_class and not task.sample.by_class:
        yield f"{at}.question.form: '{question.form}' asks for the class; it needs sample: groups: classes"
    brings, others = ATMOSPHERE_NAMES, ABUNDANCE_NAMES
    if source == "apogee":
        brings, others = others, brings
    for label in question.labels:
        if label not in LABELS:
            yield unknown(f"{at}.question.labels", label, LABELS)
        elif label in others:
            yield f"{at}.question.labels: '{label}' is not learnt from {source}, which brings {', '.join(brings)}"
    if len(set(question.labels)) < len(question.labels):
        yield f"{at}.question.labels: a label is named twice"
    for label, digits in question.decimals.items():
        if label not in LABELS:
            yield unknown(f"{at}.question.decimals", label, LABELS)
        if not 0 <= digits <= 6:
            yield f"{at}.question.decimals.{label}: {digits} is out of range 0-6"


def _sample(config: Config, at: str, task: Task) -> Iterator[str]:
    sample, groups = task.sample, task.sample.group_names
    if isinstance(sample.groups, Bins) and sample.groups.bins.label not in task.labels:
        yield unknown(f"{at}.groups.bins.label", sample.groups.bins.label, task.labels)
    if sample.balanced and not groups:
        yield f"{at}.balanced: there is nothing to balance over, as groups is null; set balanced: false"
    for size, count in sample.sizes.items():
        if read_name(size).is_derived:
            yield f"{at}.sizes.{size}: endings in .s, .f or .x and a number are those of derived models"
        if is_sampled(size):
            yield f"{at}.sizes.{size}: '{size}' is the name of a prediction set; call the size something else"
        if count is not None and count < 1:
            yield f"{at}.sizes.{size}: {count} is not a number of spectra"
        elif count is not None and sample.balanced and count < len(groups):
            yield f"{at}.sizes.{size}: {count} cannot be balanced over {len(groups)} groups"
    held = config.surveys.lamost.class_counts
    if sample.balanced and sample.by_class and sample.shortage == "error" and held:
        for size in set(sample.sizes) & {*config.run.sizes, *(config.scaling.sizes or [])}:
            for letter in groups:
                wanted = (sample.sizes[size] or 0) // len(groups)
                if wanted > held.get(letter, 0):
                    yield (
                        f"{at}.sizes.{size}: asks for {wanted} of class {letter}, the release holds "
                        f"{held.get(letter, 0)} (surveys.lamost.class_counts)"
                    )
    counted = [c for c in sample.sizes.values() if c is not None]
    if config.mock and counted and not sample.balanced and min(counted) > config.mock.spectra:
        yield f"{at}.sizes: all are larger than the mock release ({config.mock.spectra} spectra)"


def _encodings(config: Config) -> Iterator[str]:
    for name, encoding in config.encodings.items():
        if encoding.bin > config.spectra.wavelength.size:
            yield (
                f"encodings.{name}.bin: {encoding.bin} is more than the {config.spectra.wavelength.size} "
                "values of spectra.wavelength"
            )


def _models(config: Config) -> Iterator[str]:
    for name, model in config.models.items():
        at = f"models.{name}"
        said = read_name(name)
        if said.is_derived:
            yield (
                f"{at}: this is the name of a model derived from '{said.model}' (.s1: seed 1, .f3: without fold 3, "
                ".x2: twice the passes); call it something else"
            )
        if isinstance(model, Llm) != name.startswith("llm"):
            yield f"{at}: names of LLM models, and only theirs, begin with 'llm'"
        if isinstance(model, Ensemble):
            yield from _members(config, f"{at}.members", model)
        elif isinstance(model, Spectrum | Ridge) and model.bin > config.spectra.wavelength.size:
            values = config.spectra.wavelength.size
            yield f"{at}.bin: {model.bin} is more than the {values} values of spectra.wavelength"
        if isinstance(model, Network):
            sizes = sorted({size for task in config.tasks.values() for size in task.sample.sizes})
            yield from (unknown(f"{at}.by_size", size, sizes) for size in model.by_size if size not in sizes)
        if not isinstance(model, Llm):
            continue
        if model.encoding not in config.encodings:
            yield unknown(f"{at}.encoding", model.encoding, config.encodings)
        built = config.bases.get(model.base)
        if built and built.encoding != model.encoding:
            yield f"{at}: its base '{model.base}' was made for encoding '{built.encoding}', not '{model.encoding}'"
        if built and model.lora.rank > built.hidden:
            yield f"{at}.lora.rank: {model.lora.rank} is out of range 1-{built.hidden} (the base's width)"
        if model.revision and (built or not is_hub_id(model.base)):
            kind = "a base that is built here" if built else "a folder"
            yield f"{at}.revision: '{model.base}' is {kind}; only a Hugging Face id has revisions"
        gpus, nodes = model.training.gpus, model.training.nodes
        if gpus % nodes:
            yield f"{at}.training: {gpus} GPU(s) cannot be shared out evenly over {nodes} nodes"
        if model.init:
            yield from _task_and_size(config, f"{at}.init", model.init.task, model.init.size)
            if model.init.model and model.init.model not in config.models:
                yield unknown(f"{at}.init.model", model.init.model, config.models)


def _members(config: Config, at: str, ensemble: Ensemble) -> Iterator[str]:
    for name in ensemble.members:
        if name not in config.models:
            yield unknown(at, name, config.models)
        elif isinstance(config.models[name], Ensemble):
            yield f"{at}: '{name}' is an ensemble itself; name its members instead"
    if len(set(ensemble.members)) < len(ensemble.members):
        yield f"{at}: a model is named twice"


def _bases(config: Config) -> Iterator[str]:
    for name, base in config.bases.items():
        at = f"bases.{name}"
        yield from _task_and_size(config, at, base.task, base.size)
        if base.encoding not in config.encodings:
            yield unknown(f"{at}.encoding", base.encoding, config.encodings)
        if base.hidden % base.heads:
            yield f"{at}: hidden ({base.hidden}) must be a multiple of heads ({base.heads})"


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
        if definition.source != "lamost" and getattr(config.surveys, definition.source) is None:
            yield f"run.tasks: '{task}' learns from {definition.source}, but surveys.{definition.source} is null"
        yield from _by_size(config, task, run.models, run.sizes)
    every = {size for task in config.tasks.values() for size in task.sample.sizes}
    for size in run.sizes:
        if size not in every:
            yield unknown("run.sizes", size, sorted(every))
    for model in run.models:
        if model not in config.models:
            yield unknown("run.models", model, config.models)
    baseline = config.tables.baseline
    if baseline and (baseline not in config.models or isinstance(config.models[baseline], Llm)):
        yield unknown("tables.baseline", baseline, [name for name in config.models if not name.startswith("llm")])
    for survey in run.validation:
        if getattr(config.surveys, survey) is None:
            yield f"run.validation: surveys.{survey} is null"


def _scaling(config: Config) -> Iterator[str]:
    sweep = config.scaling
    sizes = config.run.sizes if sweep.sizes is None else sweep.sizes
    for task in sweep.tasks:
        if task not in config.tasks:
            yield unknown("scaling.tasks", task, config.tasks)
            continue
        for size in sweep.sizes or []:
            if size not in config.tasks[task].sample.sizes:
                yield unknown(f"scaling.sizes (task '{task}')", size, config.tasks[task].sample.sizes)
        if sweep.test_size and sweep.test_size not in config.tasks[task].sample.sizes:
            yield unknown(f"scaling.test_size (task '{task}')", sweep.test_size, config.tasks[task].sample.sizes)
        yield from _by_size(config, task, sweep.models or [], sizes)
    for model in sweep.models or []:
        if model not in config.models:
            yield unknown("scaling.models", model, config.models)
    for model in config.repeats.models:
        if model not in config.run.models:
            yield unknown("repeats.models", model, config.run.models)
    for factor in sweep.passes:
        if read_name(Derived("model", passes=factor).name).passes != factor:
            yield f"scaling.passes: {factor:g} has more than three decimals; they are part of a model's name"
    for key in ("seeds", "passes", "sizes", "models"):
        given = getattr(sweep, key) or []
        if len(set(given)) < len(given):
            yield f"scaling.{key}: one is named twice"


def _by_size(config: Config, task: str, models: Iterable[str], sizes: Iterable[str]) -> Iterator[str]:
    """Training settings that are given by size must be given for every size that is built."""
    for name in models:
        model = config.models.get(name)
        if not isinstance(model, Llm):
            continue
        for key in ("epochs", "learning_rate"):
            given = getattr(model.training, key)
            for size in set(sizes) & set(config.tasks[task].sample.sizes):
                if isinstance(given, dict) and size not in given:
                    yield f"models.{name}.training.{key}: no entry for size '{size}' of task '{task}'"


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
