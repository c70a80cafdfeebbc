"""QLoRA fine-tuning on questions and answers (paper 3.3): set up, load, train, validate, save."""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starglot.config.llm import Llm, Training
from starglot.config.models import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.config.transfer import takes_steps
from starglot.errors import StarglotError
from starglot.fingerprint import memory
from starglot.language.length import check_length, warn_of_length
from starglot.language.tokens import PromptTokens
from starglot.models import llm
from starglot.models.bases import ADAPTER_FILES, check_base, check_model, describe, find_base
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.store import CHECKPOINTS, MADE
from starglot.tables import write_json
from starglot.training.begun import note_length
from starglot.training.deepspeed import on_the_cpu
from starglot.training.delivery import MANIFEST, deliver, digests, restore_or_begin, versions, write_run
from starglot.training.time_limit import listen

if TYPE_CHECKING:
    from starglot.training.loop import Plan

log = logging.getLogger(__name__)

#: Validation looks at this many spectra at most: the loss is known to a few per cent then.
_VALIDATED = 2000


def finetune(
    settings: Llm,
    task: Task,
    encoding: Encoding,
    wavelength: Wavelength,
    size: str,
    base: str | Mapping[str, Any],
    init_adapter: Path | None,
    qa_train: list[Path],
    qa_val: list[Path],
    spectra: CleanedSpectra,
    out: Path,
    state: Path,
    ingredients: Mapping[str, Any],
    script: Path | None = None,
) -> dict[str, Any]:
    """Train adapters on a frozen, quantised base; returns the manifest that it writes last into ``out``.

    base: folder or Hugging Face id (must be there: nothing is downloaded), or what
    :func:`starglot.models.bases.describe` says of it; init_adapter: folder of the adapter to continue from, or None
    for a fresh one; qa_train, qa_val: JSONL files; spectra: those of the questions, read where flux is drawn anew;
    out: gets adapter, tokenizer, loss.csv, run.json and manifest.json; state: folder of checkpoints and finished
    work; ingredients: JSON-able, all that the result depends on (settings, code, digests of inputs): the same again
    is handed back from ``state``, a killed run continues from its last good checkpoint, bit for bit as if it had not
    been killed; script: that calls it, if it is one of the workflow's: then a training goes on with the code that it
    began with (:mod:`.begun`).

    Under torchrun every process calls it with the same arguments.  Raises StarglotError for a base or an adapter that
    is not there or of another base, questions that cannot be read or are longer than the base's positions, and GPUs
    that are not there.
    """
    listen()

    # ---- set up
    started = time.time()
    chief = int(os.environ.get("RANK", "0")) == 0
    place, finished = restore_or_begin(Path(state), ingredients, Path(out), script, chief)
    if finished is not None:
        return finished
    # What trains takes seconds to import, which work that is handed back does not wait for.
    from starglot.training.data import Collate, Draws, cache_rows
    from starglot.training.loop import explained, left_as_it_is, make_trainer, run, write_curve

    training, learns = settings.training, init_adapter is None or takes_steps(settings.transfer)
    check_devices(training)
    log.info("%s, %s, on %s", out, size, f"{training.gpus} GPU(s)" if training.gpus else "the CPU")

    if training.deepspeed and not training.gpus:
        on_the_cpu()

    # ---- load
    stands_on = base if isinstance(base, Mapping) else describe(base, memory(state))
    if init_adapter is not None:
        check_base(check_model(init_adapter), stands_on, init_adapter)
    base_folder = find_base(stands_on["name"], stands_on["revision"])
    inputs = digests([*qa_train, *qa_val])
    rows = cache_rows(qa_train, inputs, Path(state) / "questions", chief)
    held_out = cache_rows(qa_val, inputs, Path(state) / "questions", chief)
    if not len(rows):
        raise StarglotError("there is no training question", where=qa_train[0].parent, todo="take a larger sample")
    plan = make_plan(training, len(rows), settings.seed)
    if chief:
        note_length(place, plan.steps, "steps")
    arguments = plan.arguments(place / CHECKPOINTS)  # before the model: ZeRO-3 changes how that is loaded
    tokenizer = llm.load_tokenizer(base_folder)
    tokens = PromptTokens(tokenizer, task, encoding, wavelength)
    anew = None
    if training.augment.changes:
        anew = training.augment, spectra.mapped(rows.obsids(), Path(state) / "flux", chief)
    draws = Draws(rows, tokens, plan.steps * effective_batch(training), settings.seed, anew)
    seen = Draws(held_out, tokens, min(len(held_out), _VALIDATED), seed=0, shuffled=False)
    prompt, answer = (max(both) for both in zip(draws.longest(), seen.longest(), strict=True))
    check_length(prompt, answer, tokens, llm.load_config(base_folder), stands_on["name"])
    warn_of_length(prompt, answer, tokens, llm.load_config(base_folder), stands_on["name"])
    model = llm.load_base(
        base_folder, settings.quantisation, for_training=True, on_gpu=plan.on_gpu, sharded=training.deepspeed
    )
    if init_adapter is None:
        adapted = llm.attach_adapter(model, settings.lora, settings.seed, sharded=training.deepspeed)
    else:
        llm.check_adapter(init_adapter, settings.lora)
        adapted = llm.load_adapter(model, init_adapter, trainable=True)

    # ---- train
    trainer = make_trainer(
        adapted, draws, Collate(tokenizer.pad_token_id), arguments, f"{task.question.form}, {size}"
    )
    if learns:
        curve = run(trainer)
    else:
        first = Draws(rows, tokens, min(len(rows), _VALIDATED), seed=0, shuffled=False)
        curve = left_as_it_is(trainer, first)

    # ---- validate
    metrics = {"train_loss": curve[-1]["loss"]}
    if len(held_out):
        metrics["val_loss"] = float(trainer.evaluate(seen)["eval_loss"])
    log.info("loss: %s", metrics)

    # ---- save
    made = place / MADE
    trainable, everything = adapted.get_nb_trainable_parameters()
    manifest = {
        "kind": "llm",
        "task": task.model_dump(),
        "size": size,
        "model": settings.model_dump(),
        "encoding": encoding.model_dump(),
        "wavelength": wavelength.model_dump(),
        "base": dict(stands_on),
        "continues": None if init_adapter is None else digests([Path(init_adapter) / ADAPTER_FILES[1]]),
        "frame": {"before": draws.before, "between": draws.between, "after": draws.after},
        "inputs": inputs,
        "identity": place.name,
        "counts": {
            "train": len(rows),
            "val": len(held_out),
            "examples": len(draws) if learns else 0,
            "steps": plan.steps if learns else 0,
            "prompt_tokens": len(draws[0]["prompt"]),
            "trainable_parameters": trainable if learns else 0,
            "parameters": everything,
        },
        "seed": settings.seed,
        "metrics": metrics,
        "versions": versions(),
    }
    with explained(place):
        if chief:
            shutil.rmtree(made, ignore_errors=True)
        trainer.save_model(str(made / "trainer"))  # by all processes: sharded weights are gathered
        if chief:
            for name in ADAPTER_FILES:
                os.replace(made / "trainer" / name, made / name)
            shutil.rmtree(made / "trainer")
            llm.order_adapter_config(made)
            tokenizer.save_pretrained(str(made))
            write_curve(curve, made / "loss.csv")
            write_run(made, started, examples_per_second=len(draws) / (time.time() - started))
            write_json(manifest, made / MANIFEST)
            deliver(made, place, Path(out))
    return manifest


def effective_batch(training: Training) -> int:
    """Spectra per optimiser step, over all devices."""
    return training.batch * training.accumulate * training.processes


def make_plan(training: Training, rows: int, seed: int) -> Plan:
    """Steps, rates and devices of a training on ``rows`` questions."""
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
