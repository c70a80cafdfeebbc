"""Which of the selected spectra are on disk, and in which files, by shard."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.surveys.shard_names import SHARD_NAME
from starglot.tables import FILES, SELECTED

log = logging.getLogger(__name__)


def inventory(
    candidates: pa.Table, root: Path, find_files: Callable[[pa.Table, Path], pa.Table]
) -> dict[str, pa.Table]:
    """Shard -> its rows (schema ``tables.SELECTED``, sorted by obsid), with the file of each.

    candidates: rows of :func:`starglot.samples.select.select`; root: of the spectra; find_files: the survey's, of
    :class:`starglot.surveys.protocol.FindFiles`.  Every candidate is in exactly one shard.

    Raises StarglotError when the root is not there, a folder cannot be listed, or a shard's name is none.
    """
    root = Path(root)
    if not root.is_dir():
        raise StarglotError(
            "the root of the spectra is not a folder that can be read",
            where=root,
            todo="set `spectra` of the survey to the folder that holds them (docs/reference.md)",
        )
    found = find_files(candidates, root).cast(FILES)
    bad = [name for name in pc.unique(candidates["shard"]).to_pylist() if not re.fullmatch(SHARD_NAME, name)]
    if bad:
        raise StarglotError(
            f"{bad[0]!r} is no name of a shard", allowed=SHARD_NAME, todo="correct the survey's reader"
        )
    rows = candidates.select(["obsid", "star_id", "shard"])
    for field in FILES:
        rows = rows.append_column(field, found[field.name])
    log.info("%d spectra, %d of them in files that are not on disk", len(rows), rows["size"].null_count)
    return _by_shard(rows)


def _by_shard(rows: pa.Table) -> dict[str, pa.Table]:
    rows = rows.sort_by([("shard", "ascending"), ("obsid", "ascending")]).combine_chunks()
    shards = rows["shard"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.r_[True, shards[1:] != shards[:-1]]) if len(shards) else np.empty(0, np.int64)
    ends = np.r_[starts[1:], len(shards)]
    selected = rows.select(SELECTED.names).cast(SELECTED)
    return {str(shards[a]): selected.slice(a, b - a) for a, b in zip(starts, ends, strict=True)}
