"""Columns of survey catalogues -> Arrow columns in the project's names, missing values as null.

A survey module lists the columns that it wants, each with the names that releases have given it.  Only those columns
are read, in chunks of rows, so that memory grows with what is kept and not with the file.  What a column says in
another way than it should is refused: by an error that names it, or as a null value that is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.formats.catalog import Catalog, Column, Kind
from starglot.formats.catalog_file import open_catalog
from starglot.formats.counts import VALUE_REASONS, Counts, Tally, add_tally, tally
from starglot.formats.dates import read_dates
from starglot.formats.ids import gaia_ids, own_ids
from starglot.formats.values import Where, numbers_of, texts_of, whole_numbers_of

_TYPES: dict[Kind, pa.DataType] = {
    "float": pa.float64(),
    "int": pa.int64(),
    "flag": pa.int64(),
    "limit": pa.int64(),
    "text": pa.string(),
    "id": pa.string(),
    "gaia": pa.string(),
    "date": pa.string(),
    "float_vector": pa.list_(pa.float64()),
    "int_vector": pa.list_(pa.int64()),
}
_ELEMENT_KIND: dict[Kind, Kind] = {"float_vector": "float", "int_vector": "int"}

#: Rows that are refused, by reason.
Refused = Mapping[str, np.ndarray]


def read_columns(path: str | Path, columns: Sequence[Column]) -> pa.Table:
    """The wanted ``columns`` of a catalogue, see :func:`table_of`."""
    with open_catalog(path, columns) as catalog:
        return table_of(catalog, columns, Counts())


def table_of(catalog: Catalog, columns: Sequence[Column], counts: Counts) -> pa.Table:
    """The wanted ``columns`` of an open catalogue under the project's names, rows in the file's order.

    Numbers are float64 or int64; flags int64, 1 and 0 for true and false in words; limit flags likewise, 1 also for
    '<' and '>', 0 for blank text; texts and ids strings without blanks around them; dates 'YYYY-MM-DD'; vectors
    lists.  What is missing is null, and so is every row of a column that is not needed and not there.  ``counts``
    takes the account of every column.

    Raises StarglotError, with the number of rows and the first of them, for text where numbers should be, fractions
    where whole numbers should be, ids in floating point, dates that may be read in two ways, and for a needed column
    of which every value is refused.
    """
    found = catalog.resolve(columns)
    here = [column for column in columns if column.name in found]
    parts: dict[str, list[pa.Array]] = {column.name: [] for column in here}
    refused: dict[str, dict[str, Tally]] = {column.name: {} for column in here}
    rows = 0
    for chunk in catalog.chunks(sorted(set(found.values()))):
        for column in here:
            values = chunk[found[column.name]]
            array, hits = _convert(values, column, Where(catalog.where, column.name, rows))
            parts[column.name].append(array)
            _tell(refused[column.name], hits, values, rows)
        rows += len(next(iter(chunk.values())))
    counts.rows += rows
    arrays: dict[str, pa.Array] = {column.name: pa.nulls(rows, _TYPES[column.kind]) for column in columns}
    for column in here:
        array = pa.chunked_array(parts[column.name], _TYPES[column.kind]).combine_chunks()
        whole, hits = _of_whole_column(array, column, Where(catalog.where, column.name))
        _tell(refused[column.name], hits, array)
        counts.read(column.name, rows, rows - whole.null_count, refused[column.name], catalog.path)
        if column.needed and column.kind != "gaia" and refused[column.name] and whole.null_count == rows:
            raise _nothing_left(column, refused[column.name], catalog.path)
        arrays[column.name] = whole
    return pa.table(arrays)


def floats(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A nullable numeric column as float64, NaN for null."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False) if len(column) else np.empty(0)


def flags(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A nullable integer flag column as int64; a missing flag counts as -1, every bit set."""
    return np.asarray(pc.fill_null(column, -1).to_numpy(zero_copy_only=False), np.int64)


# ---------------------------------------------------------------- how values become Arrow


def _convert(values: np.ndarray, column: Column, where: Where) -> tuple[pa.Array, Refused]:
    """A chunk of a column, and which rows of it are refused."""
    if column.kind in _ELEMENT_KIND:
        return _vectors(values, column, where), {}
    if values.ndim != 1:
        raise StarglotError(
            f"column {column.name} holds arrays where single values were expected",
            where=where.path,
            allowed="one value a row",
            todo="write the column with one value a row",
        )
    if column.kind in ("text", "date"):
        return texts_of(values), {}
    if column.kind == "id":
        return own_ids(texts_of(values))
    if column.kind == "gaia":
        return _gaia_texts(values, where), {}
    if column.kind == "limit":
        return _limits(values, where), {}
    if column.kind == "float":
        numbers, limits = numbers_of(values, where)
        refused = {"upper_limit": limits}
    else:
        numbers, refused = whole_numbers_of(values, where, flags=column.kind == "flag"), {}
    if column.limits:
        low, high = column.limits
        outside = pc.fill_null(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), False)
        refused["outside_limits"] = outside.to_numpy(zero_copy_only=False)
        numbers = pc.if_else(outside, pa.scalar(None, numbers.type), numbers)
    return numbers, refused


def _of_whole_column(array: pa.Array, column: Column, where: Where) -> tuple[pa.Array, Refused]:
    """What only all rows together decide: whether ids were rounded, which number of a date is the month."""
    if column.kind == "gaia":
        return gaia_ids(array, column.gaia_release)
    if column.kind == "date":
        dates, unread, unclear = read_dates(array)
        if unclear.any():
            what = "dates of which day and month cannot be told apart"
            raise where.error(what, unclear, array, "write them as YYYY-MM-DD")
        return dates, {"no_date": unread}
    return array, {}


def _gaia_texts(values: np.ndarray, where: Where) -> pa.Array:
    """Gaia ids as the file has them; StarglotError where it has them in floating point, unless they are small."""
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            lost = np.isfinite(values) & (values >= 2.0 ** (np.finfo(values.dtype).nmant + 1))
        if lost.any():
            what = "Gaia ids as floating-point numbers, which have lost their last digits"
            raise where.error(what, lost, values, "use a copy of the catalogue that keeps them as integers or text")
    return texts_of(values)


def _limits(values: np.ndarray, where: Where) -> pa.Array:
    if values.dtype.kind in "SUO":
        texts = pc.replace_substring_regex(pc.fill_null(texts_of(values), "0"), r"^[<>≤≥]=?$", "1")
        values = texts.to_numpy(zero_copy_only=False)
    return whole_numbers_of(values, where, flags=True)


def _vectors(values: np.ndarray, column: Column, where: Where) -> pa.Array:
    if values.ndim != 2:
        raise StarglotError(
            f"column {column.name} holds single values where arrays were expected",
            where=where.path,
            allowed="an array in every row",
            todo="use an unmodified file of the release",
        )
    flat, _ = _convert(values.reshape(-1), Column(column.name, (), _ELEMENT_KIND[column.kind]), where)
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _tell(known: dict[str, Tally], refused: Refused, values: np.ndarray | pa.Array, before: int = 0) -> None:
    for reason, rows in refused.items():
        if rows.any():
            add_tally(known, reason, tally(rows, values, before))


def _nothing_left(column: Column, refused: Mapping[str, Tally], path: Path) -> StarglotError:
    reasons = "; ".join(
        f"{VALUE_REASONS[r].text} ({found.rows} rows, first: {found.first})" for r, found in refused.items()
    )
    allowed = f"{column.limits[0]:g} to {column.limits[1]:g}" if column.limits else None
    return StarglotError(
        f"column {column.name} has no value that can be used: {reasons}",
        where=path,
        allowed=allowed,
        todo="correct the column; docs/own-survey-files.md says what each may hold",
    )
