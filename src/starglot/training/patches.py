"""Training of a language model that reads patch tokens: adapters on a frozen base, and a projector in full."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from starglot.config.kinds.patch_llm import PatchLlm, PatchTraining
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task, form_task
from starglot.config.transfer import takes_steps
from starglot.errors import StarglotError
from starglot.labels import ABUNDANCE_NAMES, CLASSES, LABELS
from starglot.models import llm
from starglot.models.baselines.rows import Rows, rows_of
from starglot.models.bases import check_model
from starglot.models.predictions import label_values
from starglot.spectra.resample import wavelength_grid
from starglot.spectra.sample_flux import ShardPath, evenly_spread, map_flux
from starglot.store import CHECKPOINTS
from starglot.training.adapters import (
    VALIDATED,
    adapt,
    begin,
    check_devices,
    effective_batch,
    find_foundation,
    finish,
    fit,
    load_frozen,
    make_plan,
)
from starglot.training.begun import note_length
from starglot.training.deepspeed import on_the_cpu, sizes, whole

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from starglot.language.number_answers import NumberScale
    from starglot.models.patch_llm import SpectrumLlm
    from starglot.models.projector import Projector
    from starglot.training.patch_draws import PatchDraws
    from starglot.training.patch_encoder import Beside, Encoder
    from starglot.training.replay import Replayed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spectra:
    """What a training reads: a sample and its labels as tables, a shard's file, and digests of them all."""

    sample: pa.Table
    labels: pa.Table
    shard_path: ShardPath
    inputs: Mapping[str, str]


def train_patches(
    settings: PatchLlm,
    task: Task,
    encoding: Patches,
    wavelength: Wavelength,
    size: str,
    base: str | Mapping[str, Any],
    start: Path | None,
    spectra: Spectra,
    out: Path,
    state: Path,
    ingredients: Mapping[str, Any],
    script: Path | None = None,
    earlier: Spectra | None = None,
    lines: Spectra | None = None,
    encoder: Encoder | None = None,
) -> dict[str, Any]:
    """Train adapters and projector; returns the manifest that it writes last into ``out``.

    base: folder or Hugging Face id, or what :func:`starglot.models.bases.describe` says of it; start: folder of the
    trained model to continue from, None for a fresh one; spectra: whose training split is learnt, with labels and,
    as far as the table has them, their errors; out: gets adapter, projector, tokenizer, loss.csv, run.json and
    manifest.json; state, ingredients, script: as of :func:`starglot.training.finetune.finetune`; earlier: what the
    start was trained on, whose training split comes again as ``settings.training.replay`` says; lines: synthetic
    spectra whose training split teaches estimates the elements' lines (``settings.training.estimates.lines``);
    encoder: whose embedding of each spectrum is read beside its patches; it stays as it is, and ``out`` gets it, too.

    Under torchrun every process calls it with the same arguments.  Raises StarglotError for a base that is not there
    or whose tokenizer takes numbers apart, a start on another base or of other patches, a spectrum or label that is
    missing, and GPUs that are not there.
    """
    # ---- set up
    work = begin(ingredients, out, state, script)
    if work.finished is not None:
        return work.finished
    # What trains takes seconds to import, which work that is handed back does not wait for.
    from starglot.language.number_answers import scales_as_data
    from starglot.language.patch_prompt import Prompt
    from starglot.models.patch_llm import SpectrumLlm, labels_of, save_projector
    from starglot.training.answer_loss import AnswerLoss, WithLoss
    from starglot.training.data import Collate
    from starglot.training.estimates import Synthetic, Taught, teach_estimates
    from starglot.training.loop import make_trainer
    from starglot.training.patch_draws import PatchCollate, PatchDraws, Variation
    from starglot.training.patch_encoder import Beside, read_embeddings
    from starglot.training.rehearsal import EitherCollate, rehearsed

    training, learns = settings.training, start is None or takes_steps(settings.transfer)
    check_devices(training)
    log.info("%s, %s, on %s", out, size, f"{training.gpus} GPU(s)" if training.gpus else "the CPU")

    if training.deepspeed and not training.gpus:
        on_the_cpu()

    # ---- load
    found = find_foundation(base, start, state)
    tokenizer = llm.load_tokenizer(found.folder)
    prompt = Prompt(tokenizer, task, wavelength)
    rows, errors = _rows(task, spectra)
    split = spectra.sample.sort_by("obsid")["split"].to_numpy(zero_copy_only=False)
    train, val = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")[:VALIDATED]
    if not len(train):
        raise StarglotError(
            "the training split of this sample is empty",
            where=f"task of {', '.join(task.labels)}",
            todo="take a larger sample",
        )
    read = rows.where(np.concatenate([train, val]))
    flux = map_flux(read, spectra.shard_path, spectra.inputs, Path(state) / "flux", work.chief)
    flux, held_out = flux[: len(train)], flux[len(train) :]
    beside = None if encoder is None else Beside(encoder, work.place, Path(state) / "flux", training.gpus, work.chief)
    embedded = None if beside is None else beside.embeddings(read, spectra.shard_path, spectra.inputs)
    plan = make_plan(training, len(train), settings.seed, in_32_bits=True)  # statistics of flux need them
    if work.chief:
        note_length(work.place, plan.steps, "steps")
    arguments = plan.arguments(work.place / CHECKPOINTS)
    loaded = load_frozen(found, settings, plan)
    scales = _scales(task, rows.truth[train], errors[train], found.began)
    in_order = [scales[label] for label in task.labels]
    synthetic: Synthetic | None = None
    if lines is not None:
        names, *read_lines = _synthetic(lines, Path(state) / "flux", work.chief)
        synthetic = Synthetic(Taught(*read_lines), names)
    seen_by_statistics = [flux] if synthetic is None else [flux, synthetic.spectra.flux]
    projector = _projector(encoding, wavelength, loaded, seen_by_statistics, task, start, found.folder, settings.seed)
    if embedded is not None:
        read_embeddings(projector, embedded[: len(train)], settings.seed)
    estimated: dict[str, Any] = {}
    if projector.estimates is not None and not set(task.labels) <= set(labels_of(found.began)):
        taught, judged = Taught(flux, rows.truth[train]), Taught(held_out, rows.truth[val])
        how = (training.estimates, training.augment, wavelength_grid(wavelength), settings.seed)
        estimated = teach_estimates(projector, taught, judged, in_order, *how, synthetic, task.labels)
    _check_length(prompt.length(projector.tokens) + len(prompt.answer), loaded, found.about["name"])
    adapted = adapt(loaded, settings, start, plan)
    model = SpectrumLlm(projector, adapted, prompt)

    # ---- train and validate
    own_lines = None if synthetic is None else training.estimates.lines
    movable = np.array([label in ABUNDANCE_NAMES for label in task.labels])
    varied = Variation(training.augment, _noise(projector), training.fed_error, own_lines, movable)
    drawn = plan.steps * effective_batch(training)
    shared = (prompt.answer, in_order, encoding.coarse, wavelength_grid(wavelength))
    of_train, of_val = (None, None) if embedded is None else (embedded[: len(train)], embedded[len(train) :])
    draws = PatchDraws(rows.where(train), flux, *shared, drawn, settings.seed, varied, of_train)
    examples: PatchDraws | Replayed = draws
    if earlier is not None:
        examples = _with_replay(draws, task, earlier, Path(state), training.replay, settings.seed, beside)
    collate: PatchCollate | EitherCollate = PatchCollate(prompt.answer)
    said: dict[str, Any] = {}
    if training.rehearsal is not None:
        effective = effective_batch(training)
        examples, said = rehearsed(examples, tokenizer, training.rehearsal, settings.seed, effective)
        collate = EitherCollate(collate, Collate(tokenizer.pad_token_id))
    seen = PatchDraws(rows.where(val), held_out, *shared, len(val), seed=0, embedded=of_val)
    loss = AnswerLoss(prompt.answer, in_order, training.huber, training.text, training.class_weight)
    trainer = make_trainer(
        WithLoss(model, loss),  # type: ignore[arg-type]
        examples,
        collate,
        arguments,
        f"{task.question.form}, {size}",
        lambda: _optimiser(model, training),
    )
    first = np.arange(0 if learns else min(len(train), VALIDATED))
    near = None if of_train is None else of_train[first]
    shown = PatchDraws(rows.where(train[first]), flux[first], *shared, len(first), seed=0, embedded=near)
    curve, metrics = fit(trainer, seen, None if learns else shown)

    # ---- save
    trained = [each for each in model.parameters() if each.requires_grad]

    def save(made: Path) -> None:
        with whole(trained):
            if work.chief:
                adapted.save_pretrained(str(made))
                (made / "README.md").unlink(missing_ok=True)
                save_projector(projector, made)
                if beside is not None:
                    beside.copy_into(made)

    manifest = {
        "kind": settings.kind,
        "task": task.model_dump(),
        "size": size,
        "model": settings.model_dump(),
        "encoding": encoding.model_dump(),
        "wavelength": wavelength.model_dump(),
        "base": dict(found.about),
        "continues": None if start is None else found.began.get("files"),
        "frame": prompt.frame,
        "numbers": scales_as_data(scales),
        "inputs": dict(spectra.inputs),
        **({} if earlier is None else {"replayed": dict(earlier.inputs)}),
        **({} if lines is None else {"lines": dict(lines.inputs)}),
        **({"rehearsal": said} if said else {}),
        **({"estimates": estimated} if estimated else {}),
        **(
            {}
            if encoder is None or embedded is None
            else {"embedding": {**encoder.digests, "numbers": int(embedded.shape[1])}}
        ),
        "counts": {
            "train": len(train),
            "val": int((split == "val").sum()),
            "examples": drawn if learns else 0,
            "steps": plan.steps if learns else 0,
            "prompt_tokens": prompt.length(projector.tokens),
            "spectrum_tokens": projector.tokens,
            "trainable_parameters": learns * sum(sizes(trained)),
            "parameters": sum(sizes(projector.parameters())) + adapted.get_nb_trainable_parameters()[1],
        },
        "seed": settings.seed,
        "metrics": metrics,
    }
    return finish(work, save, tokenizer, curve, manifest)


def _rows(task: Task, spectra: Spectra) -> tuple[Rows, np.ndarray]:
    """The sample's rows in order of obsid, by class, and errors (rows, labels) of their labels, NaN where none."""
    sample = spectra.sample.sort_by("obsid")
    labels = spectra.labels.sort_by("obsid")
    rows = rows_of(task, sample, labels)
    letters = sample["class"].to_pylist()
    rows = replace(rows, group=np.array([CLASSES.index(each) if each in CLASSES else -1 for each in letters], int))
    at = np.searchsorted(labels["obsid"].to_numpy(), rows.obsid)
    errors = label_values(labels, [LABELS[label].error for label in task.labels])
    return rows, errors[at]


def _projector(
    encoding: Patches,
    wavelength: Wavelength,
    base: PreTrainedModel,
    flux: Sequence[np.ndarray],
    task: Task,
    start: Path | None,
    folder: Path,
    seed: int,
) -> Projector:
    """The start's projector, else that of the base's ``folder`` where it has one, else a fresh one; estimates of
    labels that are not learnt yet are fresh."""
    from transformers import set_seed

    from starglot.models.patch_llm import PROJECTOR_FILE, labels_of, load_projector, width_of

    learnt = start or (folder if (folder / PROJECTOR_FILE).is_file() else None)
    if learnt is None:
        return fresh_projector(encoding, wavelength, base, flux, len(task.labels), seed)
    with whole(base.get_input_embeddings().parameters()):
        hidden = width_of(base)
    began = check_model(learnt)
    projector = load_projector(encoding, wavelength.size, hidden, learnt, began)
    if projector.estimates is not None and set(task.labels) <= set(labels_of(began)):
        places = {label: j for j, label in enumerate(labels_of(began))}
        projector.estimates = projector.estimates.of([places[label] for label in task.labels])
    elif encoding.estimates is not None:
        set_seed(seed)
        projector.renew_estimates(len(task.labels))
    return projector


def fresh_projector(
    encoding: Patches,
    wavelength: Wavelength,
    base: PreTrainedModel,
    flux: Sequence[np.ndarray],
    labels: int,
    seed: int,
) -> Projector:
    """A projector in front of ``base``, with the statistics of training flux (n, grid), of each kind as much; labels:
    how many are estimated."""
    from transformers import set_seed

    from starglot.models.patch_llm import token_size, width_of
    from starglot.models.projector import ENOUGH, Projector, statistics_of
    from starglot.spectra.pixels import pixels

    with whole(base.get_input_embeddings().parameters()):
        hidden, scale = width_of(base), token_size(base)
    few = []
    for each in flux:
        chosen = evenly_spread(len(each), ENOUGH // len(flux))
        few.append(np.asarray(each[chosen]))
    shown = pixels(np.concatenate(few), encoding.coarse, wavelength_grid(wavelength))
    statistics = statistics_of(*shown, encoding.needed)
    set_seed(seed)
    return Projector(encoding, wavelength.size, hidden, scale, statistics, labels)


def _scales(task: Task, truth: np.ndarray, errors: np.ndarray, began: Mapping[str, Any]) -> dict[str, NumberScale]:
    """Scales of the task's labels: those that the start has learnt stay as they were."""
    from starglot.language.number_answers import number_scales, scales_from_data

    learnt = scales_from_data(began.get("numbers", {}))
    return {**number_scales(task.labels, truth, errors), **{k: v for k, v in learnt.items() if k in task.labels}}


def _with_replay(
    draws: PatchDraws,
    task: Task,
    earlier: Spectra,
    state: Path,
    share: float,
    seed: int,
    beside: Beside | None,
) -> Replayed:
    """The examples of a training, and among them a share of an earlier one's, drawn and varied in the same way."""
    from starglot.training.replay import Replayed

    rows, _ = _rows(task, earlier)
    split = earlier.sample.sort_by("obsid")["split"].to_numpy(zero_copy_only=False)
    rows = rows.where(np.flatnonzero(split == "train"))
    flux = map_flux(rows, earlier.shard_path, earlier.inputs, state / "flux")
    embedded = None if beside is None else beside.embeddings(rows, earlier.shard_path, earlier.inputs)
    return Replayed(draws, draws.of_other(rows, flux, embedded), share, seed)


def _synthetic(lines: Spectra, folder: Path, chief: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of all labels of synthetic spectra, and flux (n, grid) and labels (n, labels) of their training split."""
    names = [name for name in LABELS if name in lines.labels.column_names]
    rows, _ = _rows(form_task("abundances", names), lines)
    split = lines.sample.sort_by("obsid")["split"].to_numpy(zero_copy_only=False)
    rows = rows.where(np.flatnonzero(split == "train"))
    return names, map_flux(rows, lines.shard_path, lines.inputs, folder, chief), rows.truth


def _noise(projector: Projector) -> np.ndarray:
    noise: np.ndarray = projector.noise.cpu().numpy()
    return noise


def _optimiser(model: SpectrumLlm, training: PatchTraining) -> torch.optim.Optimizer:
    """AdamW with a rate and a weight decay for adapters, and another for the projector; vectors do not decay."""
    import torch

    rates = {True: training.projector_learning_rate, False: training.learning_rate}
    decays = {True: training.projector_weight_decay, False: training.weight_decay}
    groups = []
    for of_projector in (False, True):
        own = [
            each
            for name, each in model.named_parameters()
            if each.requires_grad and name.startswith("projector.") == of_projector
        ]
        for matrices in (True, False):
            chosen = [each for each in own if (each.ndim > 1) == matrices]
            decay = decays[of_projector] if matrices else 0.0
            groups.append({"params": chosen, "lr": rates[of_projector], "weight_decay": decay})
    return torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.98))


def _check_length(tokens: int, base: PreTrainedModel, name: object) -> None:
    """Raise StarglotError when prompt and answer are longer than the base's positions."""
    from starglot.language.length import positions

    most = positions(base.config)
    if most is not None and tokens > most:
        raise StarglotError(
            f"a question and its answer ({tokens} tokens) are longer than the base's {most} positions",
            where=name,
            allowed=f"{most} tokens together",
            todo="take wider patches (`width` in the encoding)",
        )
