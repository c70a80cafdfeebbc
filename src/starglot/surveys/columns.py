"""Columns of survey catalogues -> Arrow columns in the project's names, missing values as null.

A survey module lists the columns that it wants, each with the names that releases have given it.  Only those columns
are read, in chunks of rows, so that memory grows with what is kept and not with the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.glossary import Label
from starglot.surveys.catalog import Catalog
from starglot.surveys.catalog_file import open_catalog

#: Numbers that surveys write where there is none.  9999.99 is the paper's spelling of APOGEE's placeholder.
MISSING_NUMBERS = (-9999.0, -9999.99, 9999.99)
#: Texts that surveys write where there is none, in lower case.
MISSING_TEXTS = frozenset({"", "non", "none", "null", "nan", "n/a", "--", "-", "-9999", "-9999.0"})
#: Placeholders that would pass for a Gaia id.
_NO_GAIA = frozenset({"9999", "99999", "999999"})

Kind = Literal["float", "int", "text", "gaia", "float_vector", "int_vector"]
_TYPES: dict[Kind, pa.DataType] = {
    "float": pa.float64(),
    "int": pa.int64(),
    "text": pa.string(),
    "gaia": pa.string(),
    "float_vector": pa.list_(pa.float64()),
    "int_vector": pa.list_(pa.int64()),
}


@dataclass(frozen=True)
class Column:
    """A wanted column: the project's name, the names it has in files (first found wins), its kind, whether needed."""

    name: str
    aliases: tuple[str, ...]
    kind: Kind = "float"
    needed: bool = True


def read_columns(path: str | Path, columns: Sequence[Column]) -> pa.Table:
    """The wanted ``columns`` of a catalogue under the project's names, rows in the file's order.

    Numbers are float64 or int64, texts and Gaia ids strings without blanks around them, vectors lists; what is
    missing is null, and so is every row of a column that is not needed and not there.
    """
    with open_catalog(path, columns) as catalog:
        return table_of(catalog, columns)


def table_of(catalog: Catalog, columns: Sequence[Column]) -> pa.Table:
    """:func:`read_columns` on an open catalogue."""
    found = catalog.resolve(columns)
    schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns])
    batches = []
    for chunk in catalog.chunks(sorted(set(found.values()))):
        rows = len(next(iter(chunk.values())))
        arrays = [
            _convert(chunk[found[column.name]], column, catalog.path)
            if column.name in found
            else pa.nulls(rows, _TYPES[column.kind])
            for column in columns
        ]
        batches.append(pa.record_batch(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def label_pair(values: np.ndarray, errors: np.ndarray | None, label: Label) -> tuple[pa.Array, pa.Array]:
    """A label and its 1-sigma error as nullable float64 columns.

    Values outside the label's limits in the glossary are no star's and become null, errors that are not positive
    (surveys write -1 or 0 for "none") and errors of missing values likewise.
    """
    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):
        missing = ~((values >= label.low) & (values <= label.high))
        errors = np.full(len(values), np.nan) if errors is None else np.asarray(errors, np.float64)
        no_error = missing | ~(errors > 0) | ~np.isfinite(errors)
    return pa.array(values, mask=missing), pa.array(errors, mask=no_error)


def floats(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A nullable numeric column as float64, NaN for null."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False) if len(column) else np.empty(0)


def flags(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A nullable integer flag column as int64; a missing flag counts as -1, every bit set."""
    return pc.fill_null(column, -1).to_numpy(zero_copy_only=False).astype(np.int64)


# ---------------------------------------------------------------- how values become Arrow


def _convert(values: np.ndarray, column: Column, path: Path) -> pa.Array:
    if column.kind.endswith("_vector"):
        return _vectors(values, column, path)
    if values.ndim != 1:
        raise StarglotError(f"column {column.name} holds arrays where single values were expected", where=path)
    if column.kind == "text":
        return _texts(values)
    if column.kind == "gaia":
        return _gaia_ids(values, column, path)
    numbers = _numbers(values, column, path)
    if column.kind == "float":
        return numbers
    whole = pc.round(numbers)
    if not pc.all(pc.equal(whole, numbers), min_count=0).as_py():
        raise StarglotError(f"column {column.name} holds numbers that are not whole", where=path)
    if values.dtype.kind in "iu":  # not by way of float64, which has no room for 64-bit ids
        return pa.array(values.astype(np.int64), mask=pc.is_null(numbers).to_numpy(zero_copy_only=False))
    return whole.cast(pa.int64())


def _texts(values: np.ndarray) -> pa.Array:
    if values.dtype.kind == "S":
        values = np.char.decode(values, "ascii", "replace")
    if values.dtype.kind in "iu":
        values = values.astype(str)
    texts = pc.utf8_trim_whitespace(pa.array(values, pa.string()))
    missing = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(MISSING_TEXTS)))
    return pc.if_else(missing, pa.scalar(None, pa.string()), texts)


def _gaia_ids(values: np.ndarray, column: Column, path: Path) -> pa.Array:
    if values.dtype.kind == "f":
        raise StarglotError(
            f"column {column.name} holds Gaia ids as floating-point numbers, which have lost their last digits",
            where=path,
            todo="use a copy of the catalogue that keeps them as integers or text",
        )
    texts = _texts(values)
    # '0', negative numbers and notes are no ids.
    valid = pc.and_(
        pc.match_substring_regex(texts, r"^[1-9][0-9]*$"),
        pc.invert(pc.is_in(texts, value_set=pa.array(sorted(_NO_GAIA)))),
    )
    return pc.if_else(valid, texts, pa.scalar(None, pa.string()))


def _numbers(values: np.ndarray, column: Column, path: Path) -> pa.Array:
    if values.dtype.kind in "SUO":
        try:
            values = pc.fill_null(_texts(values).cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise StarglotError(f"column {column.name} holds text that is no number: {error}", where=path) from error
    numbers = values.astype(np.float64)
    missing = ~np.isfinite(numbers)
    for placeholder in MISSING_NUMBERS:
        missing |= np.abs(numbers - placeholder) < 2e-3  # float32 has -9999.99 as -9999.990234
    return pa.array(numbers, mask=missing)


def _vectors(values: np.ndarray, column: Column, path: Path) -> pa.Array:
    if values.ndim != 2:
        raise StarglotError(f"column {column.name} holds single values where arrays were expected", where=path)
    flat = _convert(values.reshape(-1), Column(column.name, (), _ELEMENT_KIND[column.kind]), path)
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


_ELEMENT_KIND: dict[Kind, Kind] = {"float_vector": "float", "int_vector": "int"}
