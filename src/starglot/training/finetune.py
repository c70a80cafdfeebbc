"""QLoRA fine-tuning on questions and answers (paper 3.3): set up, load, train, validate, save."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starglot.config.kinds.llm import Llm
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.config.transfer import takes_steps
from starglot.errors import StarglotError
from starglot.language.length import check_length, warn_of_length
from starglot.language.tokens import PromptTokens
from starglot.models import llm
from starglot.models.bases import ADAPTER_FILES
from starglot.spectra.sample_flux import CleanedSpectra
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
from starglot.training.deepspeed import on_the_cpu
from starglot.training.delivery import digests

if TYPE_CHECKING:
    from starglot.training.replay import Replayed

log = logging.getLogger(__name__)


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
    # ---- set up
    work = begin(ingredients, out, state, script)
    if work.finished is not None:
        return work.finished
    # What trains takes seconds to import, which work that is handed back does not wait for.
    from starglot.training.data import Collate, Draws, cache_rows
    from starglot.training.loop import make_trainer
    from starglot.training.rehearsal import rehearsed

    training, learns = settings.training, init_adapter is None or takes_steps(settings.transfer)
    check_devices(training)
    log.info("%s, %s, on %s", out, size, f"{training.gpus} GPU(s)" if training.gpus else "the CPU")

    if training.deepspeed and not training.gpus:
        on_the_cpu()

    # ---- load
    found = find_foundation(base, init_adapter, state)
    inputs = digests([*qa_train, *qa_val])
    rows = cache_rows(qa_train, inputs, Path(state) / "questions", work.chief)
    held_out = cache_rows(qa_val, inputs, Path(state) / "questions", work.chief)
    if not len(rows):
        raise StarglotError("there is no training question", where=qa_train[0].parent, todo="take a larger sample")
    plan = make_plan(training, len(rows), settings.seed)
    if work.chief:
        note_length(work.place, plan.steps, "steps")
    arguments = plan.arguments(work.place / CHECKPOINTS)  # before the model: ZeRO-3 changes how that is loaded
    tokenizer = llm.load_tokenizer(found.folder)
    tokens = PromptTokens(tokenizer, task, encoding, wavelength)
    anew = None
    if training.augment.changes:
        anew = training.augment, spectra.mapped(rows.obsids(), Path(state) / "flux", work.chief)
    draws = Draws(rows, tokens, plan.steps * effective_batch(training), settings.seed, anew)
    seen = Draws(held_out, tokens, min(len(held_out), VALIDATED), seed=0, shuffled=False)
    prompt, answer = (max(both) for both in zip(draws.longest(), seen.longest(), strict=True))
    check_length(prompt, answer, tokens, llm.load_config(found.folder), found.about["name"])
    warn_of_length(prompt, answer, tokens, llm.load_config(found.folder), found.about["name"])
    adapted = adapt(load_frozen(found, settings, plan), settings, init_adapter, plan)

    # ---- train and validate
    examples: Draws | Replayed = draws
    said: dict[str, Any] = {}
    if training.rehearsal is not None:
        examples, said = rehearsed(draws, tokenizer, training.rehearsal, settings.seed, effective_batch(training))
    trainer = make_trainer(
        adapted, examples, Collate(tokenizer.pad_token_id), arguments, f"{task.question.form}, {size}"
    )
    first = None if learns else Draws(rows, tokens, min(len(rows), VALIDATED), seed=0, shuffled=False)
    curve, metrics = fit(trainer, seen, first)

    # ---- save
    def save(made: Path) -> None:
        trainer.save_model(str(made / "trainer"))  # by all processes: sharded weights are gathered
        if work.chief:
            for name in ADAPTER_FILES:
                os.replace(made / "trainer" / name, made / name)
            shutil.rmtree(made / "trainer")

    trainable, everything = adapted.get_nb_trainable_parameters()
    manifest = {
        "kind": "llm",
        "task": task.model_dump(),
        "size": size,
        "model": settings.model_dump(),
        "encoding": encoding.model_dump(),
        "wavelength": wavelength.model_dump(),
        "base": dict(found.about),
        "continues": None if init_adapter is None else digests([Path(init_adapter) / ADAPTER_FILES[1]]),
        "frame": {"before": draws.before, "between": draws.between, "after": draws.after},
        "inputs": inputs,
        **({"rehearsal": said} if said else {}),
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
    }
    return finish(work, save, tokenizer, curve, manifest)
