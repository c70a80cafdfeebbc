"""Predictions of a baseline, from the workflow's files."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.config.kinds.registry import KINDS
from starglot.config.tasks import Task
from starglot.hashing import digest_of, file_digest
from starglot.models.baselines.predict import Answer, predict
from starglot.models.baselines.rows import Rows
from starglot.samples.split import training_stars
from starglot.spectra.sample_flux import ShardPath
from starglot.store import FINISHED, is_whole, making, workplace
from starglot.surveys.index import cleaned_spectra, sample_digests
from starglot.tables import write_parquet, write_with_digest

log = logging.getLogger(__name__)

_TABLE = "table.parquet"
#: A kind's way to read rows: settings, task, the model's folder, rows, shard to file.
Reader = Callable[[Any, Task, Path, Rows, ShardPath], Answer]


def predict_arguments(command: ArgumentParser) -> ArgumentParser:
    """Declare the arguments of :func:`predict_files` other than settings; returns ``command``."""
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--sample", required=True)
    command.add_argument("--split", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--seen", nargs="+", required=True, help="samples whose training stars the model has seen")
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the name of finished work")
    command.add_argument("--state", required=True, help="folder of finished work")
    command.add_argument("--out", required=True)
    return command


def predict_files(
    read_rows: Reader,
    settings: Mapping[str, Any],
    model: str | Path,
    sample: str | Path,
    split: str,
    labels: str | Path,
    seen: Sequence[str],
    index: str | Path,
    code_hash: str,
    state: str | Path,
    out: str | Path,
) -> None:
    """Raw predictions (``tables.PREDICTION``) for one split of a sample, written to ``out`` with their digest.

    What was made before is handed back from ``state``.

    read_rows: of the model's kind; settings: model and task, as the rule is told them; model: the model's manifest;
    sample, labels: Parquet; seen: samples whose training stars the model has seen; index: of the cleaned spectra, in
    their folder; code_hash: of the code.
    """
    chosen = KINDS[settings["model"]["kind"]].settings.model_validate(settings["model"])
    task = Task.model_validate(settings["task"])
    whole, known, stars = pq.read_table(sample), pq.read_table(labels), training_stars(seen)
    shard_path = cleaned_spectra(known, index).shard_path
    selected = whole.filter(pc.equal(whole["split"], split))

    def read(rows: Rows) -> Answer:
        return read_rows(chosen, task, Path(model).parent, rows, shard_path)

    ingredients = {
        "settings": settings,
        "code": code_hash,
        "model": file_digest(model),
        "seen": digest_of(sorted(stars)),
        **sample_digests(selected, known, index),
    }
    finished = workplace(state, ingredients) / FINISHED
    if is_whole(finished):
        log.info("this was done before with the same settings, inputs and code: handing back %s", finished)
    else:
        table = predict(read, task, selected, known, stars)
        with making(finished) as made:
            write_parquet(table, made / _TABLE)
        log.info("made %s rows, kept in %s", f"{len(table):,}", finished)
    write_with_digest(pq.read_table(finished / _TABLE), out)
