"""What a run will cost, from its configuration alone: spectra, tokens, GPU hours, memory, disk.

Counts follow from sizes, splits and passes, operations from :mod:`starglot.workflow.gpu_cost`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from starglot.config import queries, trials, variants
from starglot.config.bases.outside import is_hub_id
from starglot.config.bases.random import LikeBase
from starglot.config.embeddings import embedding_base
from starglot.config.kinds.registry import is_language_model
from starglot.config.language_bases import Lowest, below, hub_or_folder_bases, patch_bases
from starglot.config.patches import Patches
from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.surveys.common import SpectrumSurvey
from starglot.errors import StarglotError
from starglot.models.bases import local_folder
from starglot.workflow.gpu_cost import SHAPES, Device, Shape, shape_of, training_memory

#: Tokens of question and chat template around a spectrum, and of one label in the answer (Llama 3's tokenizer).
AROUND, ANSWERED = 110, 12
#: Tokens of a flux value as text (Llama 3's tokenizer, counted on real spectra), by the form of the encoding.
PER_VALUE = {"paper": 5.0, "packed": 1.0}
#: Bytes of a cleaned flux value, and of one written as text and compressed; measured on the demo.
SPECTRUM_BYTES, TEXT_BYTES = 1.26, 1.5
#: Bytes of a LAMOST file (mean of the project's real ones, DR1 to DR10).
FILE_BYTES = 112_500


@dataclass(frozen=True)
class Count:
    """Spectra of a sample; None where the configuration does not tell (a size of null)."""

    task: str
    size: str
    spectra: int | None


@dataclass(frozen=True)
class GpuJob:
    """A training, or a model's predictions, on GPUs.

    what: 'train' or 'predict'; task, model, size: of a base that fills in patches the view, its name and None;
    spectra: read in all, passes counted; tokens: of one; hours: None where the base's shape is not known;
    memory: bytes on each GPU, of a training; sweep: made by `snakemake scaling` or `ablation` alone.
    """

    what: str
    task: str
    model: str
    size: str | None
    spectra: int
    tokens: int
    hours: float | None
    memory: float | None
    sweep: bool


def sample_counts(config: Config, given: Mapping[tuple[str, str], int] | None = None) -> list[Count]:
    """Spectra of each sample of `run:` and of the sweep.

    given: counts by (task, size) of sizes that take all there is.  A mock release gives no more than it has.
    """
    found = []
    tasks = dict.fromkeys((*config.run.tasks, *config.scaling.tasks))
    for task in tasks:
        swept = (*queries.sweep_sizes(config, task), *trials.ablation_sizes(config, task))
        for size in dict.fromkeys((*queries.sizes_of(config, task), *swept)):
            count = (given or {}).get((task, size), config.tasks[task].sample.sizes[size])
            if config.mock is not None:
                count = min(count or config.mock.spectra, config.mock.spectra)
            found.append(Count(task, size, count))
    return found


def tokens_of(config: Config, task: str, model: str) -> int:
    """Tokens of a question with its spectrum and its answer, with a tokenizer like Llama 3's."""
    settings = cast(queries.LanguageModel, variants.model_of(config, model))
    encoding = config.encodings[settings.encoding]
    values = config.recipe_of(config.tasks[task].view).wavelength.size
    if isinstance(encoding, Patches):
        # One token more is the spectrum's shape, an encoder's embedding is one, and each label's estimate.
        spectrum = _patches(encoding, values) + 1
        spectrum += 0 if encoding.estimates is None else len(config.tasks[task].labels)
        spectrum += embedding_base(config, model) is not None
    else:
        spectrum = round(-(-values // encoding.bin) * PER_VALUE.get(encoding.form, max(PER_VALUE.values())))
    return spectrum + AROUND + ANSWERED * len(config.tasks[task].labels)


def _patches(encoding: Patches, values: int) -> int:
    """Patches of a grid: as starglot.models.projector.patch_starts, which needs torch."""
    whole = (values - encoding.width) // encoding.step + 1
    left = values - (whole - 1) * encoding.step - encoding.width
    return whole + (20 * left > encoding.width)


def base_shape(base: str, revision: str | None) -> Shape | None:
    """The shape of a base from outside: known by its id, or read from its folder; None for another."""
    if base in SHAPES:
        return SHAPES[base]
    folder = local_folder(base, revision)
    path = folder / "config.json" if folder is not None else None
    if path is None or not path.is_file():
        return None
    try:
        return shape_of(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return None


def gpu_jobs(config: Config, device: Device, counts: list[Count]) -> Iterator[GpuJob]:
    """Trainings and predictions of language models that ask for GPUs: of their bases that fill in patches, of `run:`,
    of repeats, then of the sweep."""
    yield from _base_jobs(config, device, counts)
    known = {(one.task, one.size): one.spectra for one in counts}
    for task, model, size, sweep in trained(config):
        spectra, found = known[task, size], variants.model_at(config, model, size)
        if spectra is None or not is_language_model(found):
            continue
        settings = cast(queries.LanguageModel, found)
        training, held = settings.training, settings.quantisation
        if not training.gpus:
            continue
        tokens = tokens_of(config, task, model)
        shape = _shape_of(config, below(config, settings))
        seen = round(spectra * config.split.train * training.epochs)
        read = predicted(config, task, size, known, sweep)
        train = predict = memory = None
        if shape is not None:
            recompute = training.gradient_checkpointing
            train = seen * tokens * device.training_seconds(shape, tokens, recompute, held) / 3600
            predict = read * tokens * device.answering_seconds(shape, tokens, held) / 3600
            adapter = shape.adapter(settings.lora.rank, settings.lora.layers)
            memory = training_memory(shape, tokens, training.batch, adapter, held, recompute)
        yield GpuJob("train", task, model, size, seen, tokens, train, memory, sweep)
        yield GpuJob("predict", task, model, size, read, tokens, predict, None, sweep)


def _shape_of(config: Config, lowest: Lowest) -> Shape | None:
    """The shape of the base that a model stands on; None of one that is made here, or has fewer layers."""
    made = lowest.base in config.bases or isinstance(lowest, LikeBase)
    return None if made else base_shape(lowest.base, lowest.revision)


def _base_jobs(config: Config, device: Device, counts: list[Count]) -> Iterator[GpuJob]:
    """Trainings of the bases of `run:` that fill in patches, on all spectra that are cleaned."""
    bases, cleaned = patch_bases(config), spectra_to_clean(config, counts)
    for name in dict.fromkeys(str(getattr(model, "base", None)) for model in config.opened.values()):
        base = bases.get(name)
        if base is None or not base.gpus:
            continue
        values = config.recipe_of(base.view).wavelength.size
        patches = _patches(cast(Patches, config.encodings[base.encoding]), values)
        tokens = patches + 1 + round(base.hidden * patches)
        seen = round(cleaned[base.view] * config.split.train * base.training.epochs)
        shape, hours, memory = _shape_of(config, below(config, base)), None, None
        if shape is not None:
            hours = seen * tokens * device.training_seconds(shape, tokens, False, "none") / 3600
            adapter = shape.adapter(base.lora.rank, base.lora.layers)
            memory = training_memory(shape, tokens, base.training.batch, adapter, "none", False)
        yield GpuJob("train", base.view, name, None, seen, tokens, hours, memory, False)


def trained(config: Config) -> Iterator[tuple[str, str, str, bool]]:
    """(task, model, size, whether of a sweep or an ablation alone), each training once."""
    made = dict.fromkeys(
        (task, model, size)
        for task in config.run.tasks
        for size in queries.sizes_of(config, task)
        for model in config.models_of(task)
    )
    for task in config.run.tasks:
        largest = queries.sizes_of(config, task)[-1]
        made |= dict.fromkeys((task, model, largest) for model in queries.repeated_models(config, task))
    yield from ((*key, False) for key in made)
    swept = dict.fromkeys(
        (task, model, size)
        for task in config.scaling.tasks
        for size in queries.sweep_sizes(config, task)
        for model in queries.sweep_models(config, task)
    )
    swept |= dict.fromkeys(
        (task, trial.model, trial.size) for task in config.ablation for trial in trials.seeded(config, task)
    )
    yield from ((*key, True) for key in swept if key not in made)


def predicted(config: Config, task: str, size: str, known: Mapping[tuple[str, str], int | None], sweep: bool) -> int:
    """Spectra that a model of ``size`` predicts: validation spectra and each set; in the sweep its one set.

    External surveys count where `validation_limit` says how many they are; what a survey holds out does not.
    """
    own, split = known[task, size] or 0, config.split
    if sweep:
        swept = bool(queries.sweep_sizes(config, task))
        one = queries.sweep_test_size(config, task) if swept else queries.smallest_size(config, task)
        return round((known.get((task, one)) or 0) * split.test)
    total = split.val * own
    for name in config.run.sets:
        if queries.is_sampled(name):
            continue
        of = known[task, queries.smallest_size(config, task)] if name == "common" else own
        total += (of or 0) * (split.val if name == "val" else split.test)
    return round(total) + (config.run.validation_limit or 0) * len(queries.judges(config, task))


# ------------------------------------------------------------------------------------------------ disk


def spectra_to_clean(config: Config, counts: list[Count], seen: Mapping[str, int] | None = None) -> dict[str, int]:
    """View -> spectra that are looked for on the disk: the largest sample of it, with the selection's margin.

    seen: how many a view has, where the configuration does not tell.  Samples at which models start and views of
    pairs of bases are among them.  A mock is counted once, whichever surveys see it.
    """
    if config.mock is not None:
        return {view: config.mock.spectra for view in config.views[:1]}
    samples = [(config.tasks[one.task].view, one.spectra) for one in counts]
    samples += [
        (config.tasks[task].view, config.tasks[task].sample.sizes.get(size))
        for task, size in config.starts
        if task in config.tasks
    ]
    largest = dict.fromkeys(config.views, 0)
    for view, spectra in (*samples, *(seen or {}).items()):
        if view in largest:
            largest[view] = max(largest[view], spectra or 0)
    return {view: round(spectra * config.select.margin) for view, spectra in largest.items()}


def disk(config: Config, counts: list[Count], seen: Mapping[str, int] | None = None) -> dict[str, float]:
    """Bytes of the results, about: cleaned spectra, questions as text.  seen: as of :func:`spectra_to_clean`."""
    known = {(one.task, one.size): one.spectra or 0 for one in counts}
    values = sum(
        spectra * config.recipe_of(view).wavelength.size
        for view, spectra in spectra_to_clean(config, counts, seen).items()
    )
    text = 0.0
    for task in config.run.tasks:
        for name in queries.run_language_models(config, task):
            encoding = config.encodings[queries.language_models(config)[name].encoding]
            if isinstance(encoding, Patches):
                continue
            own = config.recipe_of(config.tasks[task].view).wavelength.size / encoding.bin
            text += sum(known[task, size] for size in queries.sizes_of(config, task)) * own * TEXT_BYTES
    return {"cleaned spectra": values * SPECTRUM_BYTES, "questions": text}


def downloads(config: Config, counts: list[Count], seen: Mapping[str, int] | None = None) -> dict[str, float]:
    """Bytes to download, about, by the name of :func:`starglot.workflow.check.external_inputs`; as far as known.

    seen: as of :func:`spectra_to_clean`.
    """
    found: dict[str, float] = {}
    if config.mock is None:
        largest: dict[str, int] = {}
        for view, spectra in spectra_to_clean(config, counts, seen).items():
            name = View(view).survey
            largest[name] = max(largest.get(name, 0), spectra)
        for name, survey in config.surveys.named().items():
            if largest.get(name) and isinstance(survey, SpectrumSurvey):
                found[f"{survey.title} spectra"] = largest[name] * FILE_BYTES
    for (base, revision), users in hub_or_folder_bases(config).items():
        shape = base_shape(base, revision) if users and is_hub_id(base) else None
        if shape is not None:
            found[base] = shape.parameters * 2.0
    return found


# ------------------------------------------------------------------------------------------------ limit


def gpu_hours(jobs: list[GpuJob]) -> tuple[float, float]:
    """GPU hours of `run:`, and those that the sweep adds, as far as they are known."""
    run, sweep = (sum(job.hours or 0.0 for job in jobs if job.sweep == alone) for alone in (False, True))
    return run, sweep


def require_within_limits(
    config: Config, device: Device, planned: Collection[tuple[str, str, str, str | None]] | None = None
) -> None:
    """Raise StarglotError when a run takes more GPU hours than `limits: gpu_hours` allows, as far as can be told.

    planned: what ('train' or 'predict'), task, model and size of the jobs that are to run; None: all of `run:`.
    """
    most = config.limits.gpu_hours
    if most is None:
        return
    jobs = [
        job
        for job in gpu_jobs(config, device, sample_counts(config))
        if ((job.what, job.task, job.model, job.size) in planned if planned is not None else not job.sweep)
    ]
    total = sum(job.hours or 0.0 for job in jobs)
    if total <= most:
        return
    dear = max(jobs, key=lambda job: job.hours or 0.0)
    raise StarglotError(
        f"this run takes about {_number(total)} GPU hours, {_number(dear.hours or 0)} of them to {dear.what} "
        f"{dear.model} ({dear.task}{'' if dear.size is None else f', size {dear.size}'})",
        where="limits: gpu_hours",
        allowed=f"{most:g} GPU hours",
        todo="see what costs how much (starglot plan), build less under `run:`, or raise limits.gpu_hours",
    )


def _number(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
