"""Parts of a catalogue put together, sorted, as Parquet and FITS, in memory that does not grow with their number.

The keys of all rows are read first (8 bytes a row), then the rows by blocks of keys, each from the parts that reach
into the block.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.errors import StarglotError
from starglot.inference.fits_catalogue import FitsCatalogue, fits_text
from starglot.inference.flags import BITS
from starglot.tables import atomic_path

#: Rows that are in memory at a time, about.
BLOCK = 65_536


class Written(Protocol):
    """A file that rows are added to."""

    def add(self, rows: pa.Table) -> None:
        """Add rows at the end."""

    def close(self) -> None:
        """Write what comes after the last row."""


@dataclass(frozen=True)
class _Known:
    """What is known of the parts before their rows are read.

    keys: of all rows, in the order of the parts; low, high: (parts,) the least and greatest key of each; widths: of
    text columns, bytes of the longest text in FITS; flagged: rows by flag.
    """

    schema: pa.Schema
    keys: np.ndarray
    low: np.ndarray
    high: np.ndarray
    widths: dict[str, int]
    flagged: dict[str, int]


def gather(parts: Sequence[Path], facts: Mapping[str, Any], outs: Sequence[Path], key: str) -> dict[str, Any]:
    """Write the catalogue of all ``parts`` (:func:`starglot.inference.catalogue.answer_part`) to ``outs``.

    facts: of :func:`starglot.inference.catalogue.catalogue_facts`; outs: named .parquet or .fits; key: the column of
    integers to sort by, rows of the same key staying in the order of the parts.  Returns rows, answered, and rows by
    flag; they are in the header as well.
    Raises StarglotError when parts have different columns, or a key stands in two parts.
    """
    known = _first_look(parts, key)
    counts = {"rows": len(known.keys), "answered": len(known.keys) - known.flagged["rejected"]}
    about = {**facts, **counts, "flagged": known.flagged}
    with ExitStack() as stack:
        partial = [stack.enter_context(atomic_path(out)) for out in outs]
        written = [_opened(path, out.suffix, known, about) for path, out in zip(partial, outs, strict=True)]
        for rows in _blocks(parts, known, key):
            for each in written:
                each.add(rows)
        for each in written:
            each.close()
    return {**counts, "flagged": known.flagged}


def _first_look(parts: Sequence[Path], key: str) -> _Known:
    schema: pa.Schema | None = None
    keys: list[np.ndarray] = []
    widths: dict[str, int] = {}
    low, high = (np.zeros(len(parts), np.int64) for _ in range(2))
    flagged = dict.fromkeys(BITS, 0)
    for place, part in enumerate(parts):
        mine = pq.read_schema(part).remove_metadata()
        schema = mine if schema is None else schema
        if mine != schema:
            raise StarglotError(
                "a part of the catalogue has other columns than the others",
                where=part,
                allowed=", ".join(schema.names),
                todo="remove it, and run the same command again",
            )
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        table = pq.read_table(part, columns=[key, "flags", *texts])
        keys.append(table[key].to_numpy())
        if len(table):
            low[place], high[place] = keys[-1].min(), keys[-1].max()
        else:
            low[place], high[place] = 1, 0  # reaches into no block
        for name in texts:
            widths[name] = max(widths.get(name, 1), fits_text(table[name]).dtype.itemsize)
        bits = table["flags"].to_numpy()
        for flag, bit in BITS.items():
            flagged[flag] += int(np.count_nonzero(bits & bit))
    if schema is None:
        raise StarglotError(
            "there is no part of a catalogue to put together",
            where="0 shards",
            todo="take the inventory: snakemake inventory",
        )
    every = np.concatenate(keys)
    _require_apart(keys, every, key)
    return _Known(schema, every, low, high, widths, flagged)


def _require_apart(keys: Sequence[np.ndarray], every: np.ndarray, key: str) -> None:
    distinct = np.concatenate([np.unique(one) for one in keys])
    values, times = np.unique(distinct, return_counts=True)
    if (times > 1).any():
        raise StarglotError(
            f"{int((times > 1).sum())} spectra are in two parts of the catalogue",
            where=f"first: {key} {values[times > 1][0]}, of {len(every)} rows",
            todo="take the inventory again: snakemake -R inventory -- inventory",
        )


def _blocks(parts: Sequence[Path], known: _Known, key: str) -> Iterator[pa.Table]:
    """All rows by key, in blocks; those of one key are in one block."""
    ranked = np.sort(known.keys)
    starts = np.unique(ranked[::BLOCK]).tolist()
    ends = [start - 1 for start in starts[1:]] + ranked[-1:].tolist()
    for first, last in zip(starts, ends, strict=True):
        reaching = np.flatnonzero((known.low <= last) & (known.high >= first)).tolist()
        within = (pc.field(key) >= first) & (pc.field(key) <= last)
        found = pa.concat_tables([pq.read_table(parts[at], filters=within) for at in reaching])
        order = np.argsort(found[key].to_numpy(), kind="stable")
        yield found.take(pa.array(order)).combine_chunks()


class _Parquet:
    def __init__(self, path: Path, known: _Known, about: Mapping[str, Any]):
        said = {"starglot": json.dumps(about, sort_keys=True), **_for_astropy(known)}
        schema = known.schema.with_metadata(said)
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def add(self, rows: pa.Table) -> None:
        self._writer.write_table(rows.cast(self._writer.schema))

    def close(self) -> None:
        self._writer.close()


def _for_astropy(known: _Known) -> dict[str, str]:
    """What astropy.table reads of a Parquet file: lengths of texts; units, descriptions, UCDs as YAML (JSON is)."""
    columns = []
    for field in known.schema:
        said = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        kind = "string" if pa.types.is_string(field.type) else str(field.type).replace("double", "float64")
        meta = {"meta": {"ucd": said.pop("ucd")}} if "ucd" in said else {}
        columns.append({"name": field.name, "datatype": kind, **said, **meta})
    lengths = {f"table::len::{name}": str(width) for name, width in known.widths.items()}
    return {**lengths, "table_meta_yaml": json.dumps({"datatype": columns})}


def _opened(path: Path, ending: str, known: _Known, about: Mapping[str, Any]) -> Written:
    if ending == ".parquet":
        return _Parquet(path, known, about)
    return FitsCatalogue(path, known.schema, len(known.keys), known.widths, about)
