"""Question-and-answer files: ``{split}-{nnnn}.jsonl.gz`` with obsid, question and answer a line.

Written in two passes, so that memory grows neither with the sample nor with the number of shards: spectra are read
shard by shard, encoded, and appended as integers to the file they belong to; then each file is put in order of obsid,
written out in words and compressed.  Workers share the shards of the first pass and the files of the second; the
bytes do not depend on how many there are.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.hashing import stable_hash, unit_interval
from starglot.language.answers import render
from starglot.language.codec import Codec
from starglot.language.prompts import form_of, question
from starglot.tables import atomic_path, flux_matrix

#: Spectra encoded at a time; bounds the memory of the first pass.
_BATCH = 1024
#: Level 6 takes a tenth off the size of digits and writes at a quarter of the speed.
_GZIP_LEVEL = 1


def file_names(files: Mapping[str, int]) -> dict[str, list[str]]:
    """Names of the files of each split: ``{'val': ['val-0000.jsonl.gz', ...]}``."""
    return {split: [f"{split}-{index:04d}.jsonl.gz" for index in range(count)] for split, count in files.items()}


def read_qa(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of one file, in order: ``{"obsid": int, "question": str, "answer": str}``.

    Raises StarglotError when the file is absent, cut off, or not what :func:`write_qa` writes.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (EOFError, OSError, zlib.error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StarglotError(
            f"the question file cannot be read: {error}",
            where=path,
            todo="build it again (remove it first if it is there): snakemake qa",
        ) from error


def write_qa(
    out_dir: str | Path,
    task: Task,
    encoding: Encoding,
    wavelength: Wavelength,
    sample: pa.Table,
    labels: pa.Table,
    shard_path: Callable[[str], Path],
    files: Mapping[str, int],
    seed: int,
    workers: int = 1,
) -> dict[str, Any]:
    """Write every file of a sample; files without a row are written empty.

    sample: columns of ``tables.SAMPLE``; labels: obsid, shard and the task's label columns (null where missing) for
    at least the sample's spectra; shard_path: a shard's cleaned spectra; files: number of files by split, a row goes
    to ``hash(obsid) mod n``.  Rows stand in order of obsid.  Questions name all labels, except, in a form that
    may leave some out (``Form.some_labels``), in training, where a part 1 - ask_all of them (by stable hash of
    obsid and the seed) names the valid ones only; the validity of a label is the truth's secret everywhere else.
    Returns counts for a manifest.  Raises StarglotError when a spectrum has no labels or is in no shard.
    """
    if min(files.values()) < 1:
        raise StarglotError(
            "a split has no question file to go to",
            where="qa: files",
            allowed="1 or more by split",
            todo="raise the number in qa.files",
        )
    out_dir = Path(out_dir)
    codec = Codec(encoding, wavelength)
    rows = _rows(task, sample, labels, files, seed)
    spill = _Spill(out_dir / ".spill", codec.n_values)
    names = {(split, index): name for split, each in file_names(files).items() for index, name in enumerate(each)}
    shutil.rmtree(spill.folder, ignore_errors=True)  # what a killed run left
    spill.folder.mkdir(parents=True)
    try:
        with _pool(workers) as run:
            shards = _by_shard(rows, shard_path)
            for parts in tqdm(run(_encode_shard, shards, codec), "encode", len(shards), unit="shard", mininterval=2):
                for key, records in parts:
                    spill.append(key, records)
            jobs = (
                (out_dir / name, spill.path(key), _file_rows(rows, key), task, encoding)
                for key, name in names.items()
            )
            done = run(_write_file, jobs, codec)
            n_labels = sum(tqdm(done, "write", len(names), unit="file", mininterval=2))
    finally:
        shutil.rmtree(spill.folder, ignore_errors=True)
    return {
        "rows": {split: int(pc.sum(pc.equal(rows["split"], split)).as_py() or 0) for split in files},
        "files": {split: int(count) for split, count in files.items()},
        "values": codec.n_values,
        "labels_asked": n_labels,
        "questions_of_all_labels": int(pc.sum(rows["ask_all"]).as_py() or 0),
    }


# ---------------------------------------------------------------- rows


def _rows(task: Task, sample: pa.Table, labels: pa.Table, files: Mapping[str, int], seed: int) -> pa.Table:
    """The sample with its labels, and for each row the file it goes to and whether all labels are asked for."""
    missing = pc.invert(pc.is_in(sample["obsid"], value_set=labels["obsid"].combine_chunks()))
    if pc.any(missing).as_py():
        first = sample["obsid"].filter(missing)[0]
        raise StarglotError(
            f"{pc.sum(missing)} spectra of the sample have no labels",
            where=f"first: obsid {first}",
            todo="rebuild the sample: snakemake samples",
        )
    for name in task.labels:
        wrong = pc.invert(pc.fill_null(pc.is_finite(labels[name]), True))
        if pc.any(wrong).as_py():
            raise StarglotError(
                f"the label {name} is not a finite number",
                where=f"obsid {labels['obsid'].filter(wrong)[0]}",
                allowed="numbers, null where missing",
                todo="correct the label in its catalogue",
            )
    wanted = labels.select(["obsid", "shard", *task.labels])
    rows = sample.select(["obsid", "class", "split"]).join(wanted, "obsid", join_type="left outer")
    rows = rows.sort_by("obsid")
    obsid, split = rows["obsid"].to_numpy(), rows["split"].to_numpy(zero_copy_only=False)
    number_of_files = np.array([files[name] for name in split], dtype=np.uint64)
    index = (stable_hash(obsid, "qa-file") % number_of_files).astype(np.int32)
    ask_all = np.ones(len(rows), bool)
    if form_of(task).some_labels:
        ask_all = (split != "train") | (
            unit_interval(stable_hash(obsid, f"qa-ask-all-{seed}")) < task.question.ask_all
        )
    return rows.append_column("file", pa.array(index)).append_column("ask_all", pa.array(ask_all))


def question_rows(task: Task, sample: pa.Table, labels: pa.Table, files: Mapping[str, int], seed: int) -> pa.Table:
    """The sample's rows in order of obsid, with labels and, in ``file``, which file of its split each goes to."""
    return _rows(task, sample, labels, files, seed)


def _by_shard(rows: pa.Table, shard_path: Callable[[str], Path]) -> list[tuple[Path, pa.Table]]:
    """For each shard, its spectra: obsid, split and file."""
    shards = rows["shard"].combine_chunks().dictionary_encode()
    codes = shards.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    wanted = rows.select(["obsid", "split", "file"])
    return [
        (shard_path(shards.dictionary[int(codes[at[0]])].as_py()), wanted.take(pa.array(at)))
        for at in np.split(order, cuts)
        if len(at)
    ]


def _file_rows(rows: pa.Table, key: tuple[str, int]) -> pa.Table:
    split, index = key
    return rows.filter(pc.and_(pc.equal(rows["split"], split), pc.equal(rows["file"], index)))


# ---------------------------------------------------------------- first pass: flux to integers


@dataclass(frozen=True)
class _Spill:
    """Encoded spectra on their way to a file: one record of obsid and values each, in any order."""

    folder: Path
    n_values: int

    @property
    def record(self) -> np.dtype[Any]:
        return np.dtype([("obsid", "<i8"), ("values", "<i2", (self.n_values,))])

    def path(self, key: tuple[str, int]) -> Path:
        return self.folder / f"{key[0]}-{key[1]}"

    def append(self, key: tuple[str, int], records: np.ndarray) -> None:
        with self.path(key).open("ab") as handle:
            handle.write(records.tobytes())


def _encode_shard(codec: Codec, path: Path, wanted: pa.Table) -> list[tuple[tuple[str, int], np.ndarray]]:
    """Records of a shard's wanted spectra, by split and file."""
    obsid = wanted["obsid"].to_numpy()  # ascending, as rows are
    split, index = wanted["split"].to_numpy(zero_copy_only=False), wanted["file"].to_numpy()
    records = np.empty(len(obsid), _Spill(Path(), codec.n_values).record)
    found = np.zeros(len(obsid), bool)
    for batch in _read(path):
        ids = batch["obsid"].to_numpy()
        at = np.minimum(np.searchsorted(obsid, ids), len(obsid) - 1)
        hit = obsid[at] == ids
        if hit.any():
            records["obsid"][at[hit]] = ids[hit]
            records["values"][at[hit]] = codec.values(flux_matrix(batch)[hit])
            found[at[hit]] = True
    if not found.all():
        raise StarglotError(
            f"{int((~found).sum())} spectra of the sample are not in their shard",
            where=f"{path}, first: obsid {obsid[~found][0]}",
            todo="rebuild the sample: snakemake samples",
        )
    keys = sorted(set(zip(split.tolist(), index.tolist(), strict=True)))
    return [(key, records[(split == key[0]) & (index == key[1])]) for key in keys]


def _read(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as shard:
            for batch in shard.iter_batches(batch_size=_BATCH, columns=["obsid", "flux"]):
                yield pa.Table.from_batches([batch])
    except FileNotFoundError as error:
        raise StarglotError(
            "a shard of cleaned spectra is missing", where=path, todo="clean it: snakemake clean"
        ) from error


# ---------------------------------------------------------------- second pass: integers to words


def _write_file(codec: Codec, path: Path, spill: Path, rows: pa.Table, task: Task, encoding: Encoding) -> int:
    """Write one file; returns the number of labels asked for in it."""
    requested = 0
    with atomic_path(path) as partial, partial.open("wb") as raw:
        # No name and no time in the header, so that equal content means equal bytes.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed, io.BufferedWriter(packed, 1 << 20) as out:
            if len(rows):
                records = np.memmap(spill, _Spill(Path(), codec.n_values).record, "r")
                order = np.argsort(records["obsid"])
                for row, at in zip(_dicts(rows), order, strict=True):
                    labels = [name for name in task.labels if row["ask_all"] or row[name] is not None]
                    labels = labels or task.labels
                    requested += len(labels)
                    line = {
                        "obsid": row["obsid"],
                        "question": question(task, codec.wavelength, labels, codec.text(records["values"][at])),
                        "answer": render(task, row["class"], row, labels, encoding.labels),
                    }
                    out.write(json.dumps(line).encode() + b"\n")
    return requested


def _dicts(rows: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in rows.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist()


# ---------------------------------------------------------------- workers


class _pool:
    """``with _pool(n) as run``: ``run(work, jobs, codec)`` yields ``work(codec, *job)`` in the order of the jobs."""

    def __init__(self, workers: int):
        # Forking this process beside Arrow's threads can hang; the server imports this module once, then forks.
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.executor = ProcessPoolExecutor(workers, context) if workers > 1 else None
        self.ahead = 2 * workers

    def __enter__(self) -> Callable[..., Iterator[Any]]:
        return self.run

    def __exit__(self, *exception: object) -> None:
        if self.executor is not None:
            self.executor.shutdown(cancel_futures=True)

    def run(self, work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], codec: Codec) -> Iterator[Any]:
        if self.executor is None:
            yield from (work(codec, *job) for job in jobs)
            return
        waiting: list[Future[Any]] = []
        for job in jobs:  # only a few results exist at a time, however slowly they are taken
            waiting.append(self.executor.submit(work, codec, *job))
            if len(waiting) >= self.ahead:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
