"""Predictions of language models block by block, whether they read flux as text or as tokens.

Work is done in blocks of spectra in order of obsid; a finished block is kept, so that a killed prediction goes on
where it was, with the same result to the last bit.  With other code it starts over: no answer of the one stands among
those of the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from starglot.errors import StarglotError
from starglot.fingerprint import memory
from starglot.models.bases import check_base, describe, find_base
from starglot.store import is_whole, making
from starglot.tables import write_parquet

log = logging.getLogger(__name__)

#: A block's table, in the folder in which the block is kept.
_TABLE = "table.parquet"

#: Positions of the spectra of each missing block, and a bar that hears of each spectrum -> a table for each block.
Answering = Callable[[Sequence[np.ndarray], Any], Iterator[pa.Table]]


def block_size(about: int, batch: int) -> int:
    """Spectra of a block: about so many, in whole batches."""
    return max(1, about // batch) * batch


def answer_in_blocks(place: Path, count: int, size: int, answer: Answering, schema: pa.Schema) -> pa.Table:
    """The answers to ``count`` spectra, in their order, of which blocks of ``size`` are kept in ``place``.

    answer: called where blocks are missing, and for these alone; schema: of its tables.
    """
    parts = [np.arange(first, min(first + size, count)) for first in range(0, count, size)]
    places = [place / f"block-{number:05d}" for number in range(len(parts))]
    missing = [number for number, block in enumerate(places) if not is_whole(block)]
    if places and not missing:
        log.info("this was done before with the same settings, inputs and code: handing back %s", place)
    if missing:
        done = count - sum(len(parts[number]) for number in missing)
        if done:
            log.info("%d of %d spectra were predicted before: going on from there", done, count)
        with tqdm(total=count, initial=done, desc="predict", unit="spectrum", mininterval=2) as bar:
            tables = answer([parts[number] for number in missing], bar)
            for number, table in zip(missing, tables, strict=True):
                with making(places[number]) as made:
                    write_parquet(table, made / _TABLE)
    found = [pq.read_table(block / _TABLE) for block in places]
    return pa.concat_tables(found) if found else schema.empty_table()


def revision_of(trained: Mapping[str, Any], base: str | Path) -> str | None:
    """The revision of ``base`` that a model was trained on; None for a folder, and for another base than its own."""
    said = trained.get("base")
    return said["revision"] if isinstance(said, Mapping) and said["name"] == str(base) else None


def base_of(trained: Mapping[str, Any], base: str | Path, folder: str | Path, state: str | Path) -> Path:
    """The folder of the base of the model in ``folder``, whose manifest is ``trained``.

    Raises StarglotError when it is not there, or not the one that the model was trained on.
    """
    revision = revision_of(trained, base)
    check_base(trained, describe(base, memory(state), revision), folder)
    return find_base(base, revision)


@contextmanager
def memory_explained(batch: int) -> Iterator[None]:
    """Turn too little memory of the accelerator for ``batch`` spectra into a StarglotError."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise StarglotError(
            f"the accelerator's memory is too small for {batch} spectra at a time",
            where="models: decoding: batch",
            todo="lower the model's decoding: batch and run again; finished blocks are kept",
        ) from error
