"""Training of a baseline: set up, load, fit, save; finished work is handed back, killed work goes on."""

from __future__ import annotations

import logging
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starglot.config.kinds.registry import KINDS
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.models.baselines.files import WEIGHTS
from starglot.models.baselines.rows import Rows, rows_of
from starglot.spectra.sample_flux import Bins, ShardPath, map_flux
from starglot.store import CHECKPOINTS, new_folder
from starglot.surveys.index import cleaned_spectra, sample_digests
from starglot.tables import read_json, write_json
from starglot.training.delivery import MANIFEST, deliver, digests, restore_or_begin, versions, write_run
from starglot.training.full_disk import full_disk_explained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """One training: spectra of both splits by obsid, where flux comes from, and where files go.

    made: gets the weights; checkpoints: of this work alone; flux: shared with other models of the sample;
    inputs: digests of what is read; start: folder of the trained model to start from, for kinds that have `init`;
    base: folder that holds the encoder whose embeddings are read in place of flux, if any.
    """

    settings: Any
    task: Task
    train: Rows
    val: Rows
    shard_path: ShardPath
    made: Path
    checkpoints: Path
    flux: Path
    inputs: Mapping[str, str]
    start: Path | None = None
    base: Path | None = None


@dataclass(frozen=True)
class Fitted:
    """What a manifest says of a training: counts and metrics of all, and facts by label (a list for each)."""

    counts: Mapping[str, int]
    metrics: Mapping[str, float | None]
    by_label: Mapping[str, list[Any]]


def train_arguments(command: ArgumentParser) -> ArgumentParser:
    """Declare the arguments of :func:`train_files` other than settings; returns ``command``."""
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--continues", nargs="?", help="manifest of the model to start from")
    command.add_argument("--base", nargs="?", help="manifest of the base whose embeddings the model reads")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the name of finished work")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--manifest", required=True)
    return command


def train_files(
    fit: Callable[[Work], Fitted],
    settings: Mapping[str, Any],
    sample: str | Path,
    labels: str | Path,
    index: str | Path,
    code_hash: str,
    state: str | Path,
    manifest: str | Path,
    continues: str | Path | None = None,
    base: str | Path | None = None,
    script: Path | None = None,
) -> dict[str, Any]:
    """:func:`train_baseline` on the workflow's files.

    settings: model and task, as the rule is told them, and with an aligned base the view whose side embeds; sample,
    labels: Parquet; index: of the cleaned spectra, in their folder; code_hash: of the code, one of the work's
    ingredients; manifest: the file to write, weights beside it; continues: manifest of the model to start from; base:
    that of the base whose embeddings it reads; script: of a kind whose training is resumed, the script that calls it
    (:mod:`.begun`).
    """
    rows, known = pq.read_table(sample), pq.read_table(labels)
    return train_baseline(
        fit,
        KINDS[settings["model"]["kind"]].settings.model_validate(settings["model"]),
        Task.model_validate(settings["task"]),
        rows,
        known,
        cleaned_spectra(known, index).shard_path,
        Path(manifest).parent,
        Path(state),
        sample_digests(rows, known, index),
        code_hash,
        Path(continues).parent if continues else None,
        script,
        Path(base).parent if base else None,
        settings.get("view"),
    )


def train_baseline(
    fit: Callable[[Work], Fitted],
    settings: Any,
    task: Task,
    sample: pa.Table,
    labels: pa.Table,
    shard_path: ShardPath,
    out: Path,
    state: Path,
    inputs: Mapping[str, str],
    code_hash: str,
    start: Path | None = None,
    script: Path | None = None,
    base: Path | None = None,
    view: str | None = None,
) -> dict[str, Any]:
    """Train on the sample's training split; returns the manifest that it writes last into ``out``.

    fit: of the model's kind; sample: ``tables.SAMPLE``; labels: obsid, shard and the task's label columns for at
    least the sample's spectra; shard_path: a shard's cleaned spectra; state: folder of checkpoints and finished work;
    inputs: digests of sample, labels and spectra; code_hash: of the code; start: folder of the model to start from;
    script: as in :func:`train_files`; base: folder of the encoder or aligned pair whose embeddings it reads; view: of
    the pair, whose side embeds.
    The same again is handed back.
    The validation split chooses and measures.  Raises StarglotError when the training split is empty, and when the
    disk is full.
    """
    # ---- set up
    started = time.time()
    about = {"model": settings.model_dump(), "task": task.model_dump()}
    ingredients = {**about, "inputs": inputs, "code": code_hash}
    stands_on = {} if start is None else {"continues": digests([start / WEIGHTS])}
    if base is not None:
        stands_on["embedding"] = digests(sorted(base.glob("*.safetensors"))) | ({"view": view} if view else {})
    place, finished = restore_or_begin(Path(state), {**ingredients, **stands_on}, Path(out), script)
    if finished is not None:
        return finished

    # ---- load
    sample = sample.sort_by("obsid")
    rows = rows_of(task, sample, labels)
    split = sample["split"].to_numpy(zero_copy_only=False)
    train, val = rows.where(split == "train"), rows.where(split == "val")
    if not len(train):
        raise StarglotError(
            "the training split of this sample is empty", where=f"{len(sample)} spectra", todo="take a larger sample"
        )

    # ---- fit, save
    with full_disk_explained(place):
        made = new_folder(place)
        if base is not None:
            from starglot.models.encoders.embedders import put_embedder

            put_embedder(base, view, made)
        fitted = fit(
            Work(
                settings,
                task,
                train,
                val,
                shard_path,
                made,
                place / CHECKPOINTS,
                Path(state) / "flux",
                inputs,
                start,
                made if base is not None else None,
            )
        )
        log.info(
            "%s: %s", settings.kind, {name: value for name, value in fitted.metrics.items() if value is not None}
        )
        manifest = {
            "kind": settings.kind,
            **about,
            "inputs": inputs,
            **stands_on,
            "work": place.name,
            "counts": {"train": len(train), "val": len(val), **fitted.counts},
            "labels": {
                name: {
                    "train": int(np.isfinite(train.truth[:, j]).sum()),
                    "val": int(np.isfinite(val.truth[:, j]).sum()),
                    **{fact: values[j] for fact, values in fitted.by_label.items()},
                }
                for j, name in enumerate(task.labels)
            },
            "seed": getattr(settings, "seed", None),
            "metrics": dict(fitted.metrics),
            "versions": versions(),
        }
        write_run(
            made, started, examples_per_second=fitted.counts.get("examples", len(train)) / (time.time() - started)
        )
        write_json(manifest, made / MANIFEST)
        deliver(made, place, Path(out))
    written: dict[str, Any] = read_json(Path(out) / MANIFEST)
    return written


def split_bins(work: Work, drawn: np.ndarray) -> tuple[Bins, Bins]:
    """Binned flux of the training rows numbered ``drawn``, and of all validation rows, from the mapped sample."""
    flux = map_flux(work.train.followed_by(work.val), work.shard_path, work.inputs, work.flux)
    width = work.settings.bin
    return Bins(flux, drawn, width), Bins(flux, np.arange(len(work.train), len(flux)), width)
