"""Files of spectra, however many, to a catalogue: in shards, by several processes, going on after a kill.

Beside the catalogue stands a folder with the list of files, and with every shard's rows once they are answered; it
goes when the catalogue is there.  Whatever ends a run, the same command goes on with the shards that are missing.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import starglot
from starglot.errors import StarglotError
from starglot.hashing import digest_of, file_digest
from starglot.inference.catalogue import OF_FILE, Part, answer_part, catalogue_facts
from starglot.inference.file_lists import write_list
from starglot.inference.gather import gather
from starglot.inference.load import Model
from starglot.inference.places import opened_folders
from starglot.inference.single import Single, spectra_of
from starglot.models.folder import MODEL
from starglot.tables import read_json, write_json, write_parquet

#: In the work folder: the list of files, a row group a shard, and what the work depends on.
_LIST, _PLAN = "files.parquet", "plan.json"

#: Hears of files done since it was called last.
Hear = Callable[[int], Any]


@dataclass(frozen=True)
class Work:
    """Files to be answered: the model's folder, the work folder, and how many files there are in each shard."""

    model: Path
    folder: Path
    sizes: list[int]

    def part(self, shard: int) -> Path:
        """Where the rows of a shard are, once they are answered."""
        return self.folder / f"shard-{shard:06d}.parquet"

    @property
    def missing(self) -> list[int]:
        """Shards that are not answered yet."""
        return [shard for shard in range(len(self.sizes)) if not self.part(shard).is_file()]


def work_folder(out: Path) -> Path:
    """The folder beside a catalogue that holds what is done of it."""
    return out.with_name(f"{out.name}.work")


def begin(model: Path, spectra: Path, out: Path, shard_size: int) -> Work:
    """List the files, and begin the work on them or go on with what was begun.

    spectra: a folder or a list (:func:`starglot.inference.file_lists.write_list`); shard_size: files in a shard.
    Raises StarglotError when the model cannot be used, there is no file, or the folder beside ``out`` holds work on
    other files, by another model, or in shards of another size.
    """
    opened = opened_folders(model)
    folder = work_folder(out)
    listed = out.with_name(f".{out.name}.{os.getpid()}.list")
    try:
        write_list(spectra, listed, shard_size)
        plan = {
            "files": file_digest(listed),
            "model": digest_of([file_digest(each / MODEL) for each in opened]),
            "shard_size": shard_size,
            "starglot": starglot.__version__,
        }
        begun = read_json(folder / _PLAN) if (folder / _PLAN).is_file() else None
        if begun is not None and begun != plan:
            raise _other(folder, plan, begun)
        if begun is None:
            folder.mkdir(exist_ok=True)
            os.replace(listed, folder / _LIST)
            write_json(plan, folder / _PLAN)
    finally:
        listed.unlink(missing_ok=True)
    about = pq.ParquetFile(folder / _LIST).metadata
    return Work(model, folder, [about.row_group(at).num_rows for at in range(about.num_row_groups)])


def _other(folder: Path, plan: dict[str, Any], begun: dict[str, Any]) -> StarglotError:
    said = {
        "files": "the files",
        "model": "the model",
        "shard_size": "--shard-size",
        "starglot": "Starglot's version",
    }
    changed = [said[key] for key in plan if plan[key] != begun.get(key)]
    return StarglotError(
        f"a catalogue was begun here with others: {', '.join(changed)}",
        where=folder,
        allowed="the same files (names, sizes, times), model, shard size and version as when it was begun",
        todo=f"name another --out, or begin anew: rm -r {folder}",
    )


def answer_files(work: Work, jobs: int, hear: Hear) -> None:
    """Answer the shards that are missing, in ``jobs`` processes of their own (1: in this one).

    What a shard holds does not depend on ``jobs``.  Raises StarglotError when one of the processes is killed.
    """
    missing = work.missing
    if jobs == 1 or len(missing) < 2:
        model = Model(work.model) if missing else None
        for shard in missing:
            assert model is not None
            _answer_shard(model, work, shard)
            hear(work.sizes[shard])
        return
    # Not forked: a process that has threads must not be copied.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(missing)), context, _begin_worker, (work,)) as pool:
        running = {pool.submit(_answer_in_worker, shard): shard for shard in missing}
        try:
            for done in as_completed(running):
                done.result()
                hear(work.sizes[running[done]])
        except BrokenProcessPool as error:
            raise StarglotError(
                "a process that answers was killed, perhaps for want of memory",
                where=f"{work.folder}: {len(work.missing)} of {len(work.sizes)} shards are missing",
                todo="run the same command again, with fewer --jobs: it goes on from there",
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def finish(work: Work, out: Path) -> dict[str, Any]:
    """Put the shards together as ``out``, and remove the work folder; returns the counts of :func:`gather`.

    Rows stand in the order of the list; spectra of one file in that of the file.
    """
    facts = catalogue_facts(work.model, "", "")
    counts = gather([work.part(shard) for shard in range(len(work.sizes))], facts, [out], key="number")
    shutil.rmtree(work.folder)
    return counts


_WORKER: list[tuple[Model, Work]] = []


def _begin_worker(work: Work) -> None:
    """Load the model; end when the process that began this one does, however that ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()
    # What libraries remark is not for whoever watches the progress.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    _WORKER.append((Model(work.model), work))


def _answer_in_worker(shard: int) -> None:
    _answer_shard(*_WORKER[0], shard)


def _answer_shard(model: Model, work: Work, shard: int) -> None:
    listed = pq.ParquetFile(work.folder / _LIST).read_row_group(shard)
    numbers, singles, classes = [], [], []
    for row in listed.to_pylist():
        for single in model.read(row["path"]):
            numbers.append(row["number"])
            classes.append(row["class"] or None)
            singles.append(Single(**{**vars(single), "file": row["file"]}))
    write_parquet(answer_part(model, _part(numbers, singles, classes)), work.part(shard))


def _part(numbers: Sequence[int], singles: Sequence[Single], classes: Sequence[str | None]) -> Part:
    snr = np.array([np.nan if single.snr is None else single.snr for single in singles], float)
    known = {
        "number": pa.array(numbers, pa.int64()),
        "file": pa.array([single.file for single in singles], pa.string()),
        "spectrum": pa.array([single.name for single in singles], pa.string()),
        "survey": pa.array([single.survey for single in singles], pa.string()),
        "snr": pa.array(snr, mask=np.isnan(snr)),
    }
    return Part(
        pa.table(known),
        OF_FILE,
        classes,
        snr,
        np.array([single.missing for single in singles], float),
        [None if single.flux is not None else single.reason for single in singles],
        _flux(singles),
    )


def _flux(singles: Sequence[Single]) -> Iterator[np.ndarray]:
    usable = [single for single in singles if single.flux is not None]
    if usable:
        yield spectra_of(usable)
