"""Split and fold of a star: functions of its id and the seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.config.root import Split
from starglot.hashing import stable_hash, unit_interval


def split_of(star_ids: Sequence[str], split: Split, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """('train', 'val' or 'test', fold 0 .. folds-1 as int8) of each star.

    The same star has the same split and fold in every task, size and survey (the paper's 8:2 is not said to be by
    star; LAMOST repeats stars).  Split, fold and drawing order are independent of one another.
    """
    at = unit_interval(stable_hash(star_ids, f"{seed}/split"))
    splits = np.where(at < split.train, "train", np.where(at < split.train + split.val, "val", "test"))
    folds = stable_hash(star_ids, f"{seed}/fold") % np.uint64(split.folds)
    return splits, folds.astype(np.int8)


def training_stars(samples: Iterable[str | Path]) -> set[str]:
    """Stars of the training split of any of the sample files: what a model trained on them has seen."""
    seen: set[str] = set()
    for path in samples:
        table = pq.read_table(path, columns=["star_id", "split"])
        seen.update(table.filter(pc.equal(table["split"], "train"))["star_id"].to_pylist())
    return seen
