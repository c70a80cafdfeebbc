"""What a baseline's work on a sample depends on, and finished tables handed back.

Apart from :mod:`.finished`, so that an edit here is none of the language models' code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.hashing import digest_of
from starglot.surveys.index import shard_digests
from starglot.tables import table_digest, write_parquet

log = logging.getLogger(__name__)


def kept_table(place: Path, make: Callable[[], pa.Table]) -> pa.Table:
    """The table of one piece of work: handed back when it was made before, else made and kept."""
    kept = place / "table.parquet"
    if kept.is_file():
        log.info("this was done before with the same settings, inputs and code: handing back %s", kept)
        return pq.read_table(kept)
    table = make()
    write_parquet(table, kept)
    log.info("made %s rows, kept in %s", f"{len(table):,}", kept)
    return table


def sample_identity(sample: pa.Table, labels: pa.Table, index: str | Path) -> dict[str, Any]:
    """What work on a sample's spectra depends on: its rows, their labels, the cleaned spectra of their shards.

    labels: obsid, shard and label columns, of more stars perhaps: those of others do not count.
    """
    mine = labels.filter(pc.is_in(labels["obsid"], value_set=sample["obsid"].combine_chunks()))
    shards = set(pc.unique(mine["shard"]).to_pylist())
    return {
        "sample": table_digest(sample),
        "labels": table_digest(mine),
        "spectra": digest_of(shard_digests(index, shards)),
    }
