"""The demo's tiny base: a small Llama and its tokenizer, pre-trained in full on the flux of training stars.

Labels are not read: every question that it learns from is answered by the spectrum in it (:mod:`.pseudo`).
LoRA on a frozen random base fails to write digits; on this one it learns labels in minutes on two CPU cores.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.bases.tiny import LanguageBase
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.language.prompts import form_of, parse_question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.tokens import PromptTokens
from starglot.models.tiny import BASE_NETWORKS
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.store import CHECKPOINTS, new_folder
from starglot.tables import write_json
from starglot.training.begun import note_length
from starglot.training.delivery import MANIFEST, deliver, digests, restore_or_begin, versions, write_run

log = logging.getLogger(__name__)

#: Least training spectra that principal components mean anything for.
_LEAST = 16


def build_base(
    settings: LanguageBase,
    task: Task,
    encoding: Encoding,
    wavelength: Wavelength,
    decimals: Mapping[str, int],
    qa_train: list[Path],
    spectra: CleanedSpectra,
    out: Path,
    state: Path,
    ingredients: Mapping[str, Any],
    script: Path | None = None,
) -> dict[str, Any]:
    """Build, pre-train and save a tiny base; returns the manifest that it writes last into ``out``.

    decimals: digits after the point by label, of all tasks; qa_train: JSONL files of the training split, which say
    what is asked about which spectrum (their answers are not read); spectra: of the task; out: gets config, weights,
    tokenizer, loss.csv, run.json, manifest.json; state, ingredients, script: as in
    :func:`starglot.training.finetune.finetune`.
    Raises StarglotError when there are too few spectra.
    """
    # ---- set up
    started = time.time()
    place, finished = restore_or_begin(Path(state), ingredients, Path(out), script)
    if finished is not None:
        return finished
    # What trains takes seconds to import, which work that is handed back does not wait for.
    from starglot.training.data import Collate, cache_rows
    from starglot.training.loop import Plan, explained, make_trainer, run, write_curve
    from starglot.training.pseudo import PseudoDraws

    # ---- load
    inputs = digests(qa_train)
    rows = cache_rows(qa_train, inputs, Path(state) / "questions")
    if len(rows) < _LEAST:
        raise StarglotError(
            f"{len(rows)} training spectra are too few to pre-train a base on",
            where=Path(qa_train[0]).parent,
            allowed=f"{_LEAST} or more",
            todo="take a larger sample",
        )
    # A plain form's words are pieces of their own; the paper's two are known to every such tokenizer.
    tokenizer = build_tokenizer([task] if form_of(task).plain else [])
    tokens = PromptTokens(tokenizer, task, encoding, wavelength)
    values = np.empty((len(rows), tokens.codec.n_values), np.int16)
    for at, flux in spectra.blocks(rows.obsids(), "tiny base: flux"):
        values[at] = tokens.codec.values(flux)
    prompts = [(parse_question(task, rows[number][1])[0], row) for number, row in enumerate(values)]
    steps = math.ceil(settings.examples / settings.batch)
    draws = PseudoDraws(prompts, tokens, steps * settings.batch, settings, decimals)
    model = BASE_NETWORKS[settings.kind](settings, tokenizer)

    # ---- train
    note_length(place, steps, "steps")
    plan = Plan(
        steps=steps,
        batch=settings.batch,
        accumulate=1,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup=settings.warmup,
        checkpoints=4,
        seed=settings.seed,
    )
    trainer = make_trainer(
        model, draws, Collate(tokenizer.pad_token_id), plan.arguments(place / CHECKPOINTS), "tiny base"
    )
    curve = run(trainer)

    # ---- save
    manifest = {
        "kind": settings.kind,
        "note": "made for demonstrations on a CPU; no general language model",
        "task": task.model_dump(),
        "base": settings.model_dump(),
        "encoding": encoding.model_dump(),
        "wavelength": wavelength.model_dump(),
        "inputs": inputs,
        "work": place.name,
        "counts": {
            "train": len(rows),
            "examples": len(draws),
            "steps": steps,
            "vocabulary": len(tokenizer),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
        "seed": settings.seed,
        "metrics": {"train_loss": curve[-1]["loss"]},
        "versions": versions(),
    }
    with explained(place):
        made = new_folder(place)
        model.config.use_cache = True
        model.save_pretrained(str(made))
        tokenizer.save_pretrained(str(made))
        write_curve(curve, made / "loss.csv")
        write_run(made, started, examples_per_second=len(draws) / (time.time() - started))
        write_json(manifest, made / MANIFEST)
        deliver(made, place, Path(out))
    return manifest
