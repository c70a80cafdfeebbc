"""What trainings of language models share, whether they read flux as text or as tokens, from base to folder."""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starglot.config.kinds.llm import AdaptedBase, Training
from starglot.errors import StarglotError
from starglot.fingerprint import memory
from starglot.models import llm
from starglot.models.bases import check_base, check_model, describe, find_base
from starglot.store import MADE
from starglot.tables import write_json
from starglot.training.delivery import MANIFEST, deliver, restore_or_begin, versions, write_run
from starglot.training.time_limit import listen

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, Trainer

    from starglot.training.loop import Plan

log = logging.getLogger(__name__)

#: Validation looks at this many spectra at most: the loss is known to a few per cent then.
VALIDATED = 2000


@dataclass(frozen=True)
class Work:
    """A training: its place in the store, the folder of its result, when it began, and whether this process writes.

    finished: the manifest, where it was done before and is in ``out`` again.
    """

    place: Path
    out: Path
    started: float
    chief: bool
    finished: dict[str, Any] | None


def begin(ingredients: Mapping[str, Any], out: Path, state: Path, script: Path | None) -> Work:
    """Listen to the time limit, and find the training's place; arguments as of :func:`.finetune.finetune`."""
    listen()
    started = time.time()
    chief = int(os.environ.get("RANK", "0")) == 0
    place, finished = restore_or_begin(Path(state), ingredients, Path(out), script, chief)
    return Work(place, Path(out), started, chief, finished)


@dataclass(frozen=True)
class Foundation:
    """What a training stands on: what is said of the base, the base's folder, and the manifest of the model that is
    continued, {} where none is."""

    about: Mapping[str, Any]
    folder: Path
    began: Mapping[str, Any]


def find_foundation(base: str | Mapping[str, Any], start: Path | None, state: Path) -> Foundation:
    """The base and the start of a training.

    base: folder or Hugging Face id, or what :func:`starglot.models.bases.describe` says of it; start: folder of the
    model to continue from.  Raises StarglotError where one is not there, or the start is of another base.
    """
    about = base if isinstance(base, Mapping) else describe(base, memory(state))
    began = {} if start is None else check_model(start)
    if start is not None:
        check_base(began, about, start)
    return Foundation(about, find_base(about["name"], about["revision"]), began)


def load_frozen(found: Foundation, settings: AdaptedBase, plan: Plan) -> PreTrainedModel:
    """The base, as training wants it."""
    sharded = plan.deepspeed is not None
    return llm.load_base(found.folder, settings.quantisation, for_training=True, on_gpu=plan.on_gpu, sharded=sharded)


def adapt(model: PreTrainedModel, settings: AdaptedBase, start: Path | None, plan: Plan) -> PeftModel:
    """The base with fresh adapters, or with those of the ``start``.

    Raises StarglotError for a start of another rank.
    """
    if start is None:
        sharded = plan.deepspeed is not None and not plan.in_32_bits
        return llm.attach_adapter(model, settings.lora, settings.seed, sharded=sharded)
    llm.check_adapter(start, settings.lora)
    return llm.load_adapter(model, start, trainable=True)


def fit(trainer: Trainer, seen: Any, as_it_is: Any | None = None) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Train to the end; the loss curve, and the losses of the last steps and of ``seen``, where that has any.

    as_it_is: training examples whose loss stands for those of a model that takes no step; None: it takes them.
    """
    from starglot.training.loop import left_as_it_is, run

    curve = run(trainer) if as_it_is is None else left_as_it_is(trainer, as_it_is)
    metrics = {"train_loss": curve[-1]["loss"]}
    if len(seen):
        metrics["val_loss"] = float(trainer.evaluate(seen)["eval_loss"])
    log.info("loss: %s", metrics)
    return curve, metrics


def finish(
    work: Work,
    save: Callable[[Path], None],
    tokenizer: Any,
    curve: list[dict[str, float]],
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """Save a trained model, keep it and copy it to its folder; returns the manifest.

    save: writes the weights into a folder, in every process; manifest: what is the model's own to say.
    """
    from starglot.training.loop import explained, write_curve

    made = work.place / MADE
    whole = {**manifest, "work": work.place.name, "versions": versions()}
    with explained(work.place):
        if work.chief:
            shutil.rmtree(made, ignore_errors=True)
        save(made)
        if work.chief:
            llm.order_adapter_config(made)
            tokenizer.save_pretrained(str(made))
            write_curve(curve, made / "loss.csv")
            rate = manifest["counts"]["examples"] / (time.time() - work.started)
            write_run(made, work.started, examples_per_second=rate)
            write_json(whole, made / MANIFEST)
            deliver(made, work.place, work.out)
    return whole


def effective_batch(training: Training) -> int:
    """Spectra per optimiser step, over all devices."""
    return training.batch * training.accumulate * training.processes


def make_plan(training: Training, rows: int, seed: int, *, in_32_bits: bool = False) -> Plan:
    """Steps, rates and devices of a training on ``rows`` questions; in_32_bits: as of :class:`.loop.Plan`."""
    from starglot.training.deepspeed import zero_3
    from starglot.training.loop import Plan

    return Plan(
        steps=max(1, math.ceil(training.epochs * rows / effective_batch(training))),
        batch=training.batch,
        accumulate=training.accumulate,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup=training.warmup,
        checkpoints=training.checkpoints,
        seed=seed,
        checkpointing=training.gradient_checkpointing,
        on_gpu=training.gpus > 0,
        deepspeed=zero_3(training) if training.deepspeed else None,
        in_32_bits=in_32_bits,
    )


def check_devices(training: Training) -> None:
    """Raise StarglotError when the processes or GPUs of this machine are not those that ``gpus`` asks for."""
    import torch

    world = int(os.environ.get("WORLD_SIZE", "1"))
    if training.gpus and not torch.cuda.is_available():
        raise StarglotError(
            f"training asks for {training.gpus} GPU(s), and torch sees none",
            where="models: training: gpus",
            todo="run on a GPU node with `make setup ACCEL=cuda`, or set gpus: 0 to train on the CPU",
        )
    if world != training.processes:
        raise StarglotError(
            f"training asks for {training.gpus} GPU(s) on {training.nodes} node(s) but runs in {world} process(es)",
            allowed="one process a GPU; without GPUs one a node",
            todo=f"start it with torchrun --nproc-per-node {training.processes // training.nodes}",
        )
