"""Survey catalogues (FITS tables, or CSV) -> Arrow columns in the project's names, missing values as null.

A survey module lists the columns that it wants, each with the names that releases have given it; names are found
whatever their case.  Only those columns are read, in chunks of rows, so that memory grows with what is kept and
not with the file.  A gzipped catalogue is inflated into a temporary file first (TMPDIR decides where): CFITSIO
would otherwise hold all of it in memory, several GB for a LAMOST release.
"""

from __future__ import annotations

import difflib
import gzip
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from starglot.errors import StarglotError
from starglot.glossary import Label

log = logging.getLogger(__name__)

#: Rows read at a time; a chunk of the columns that are kept is then some tens of MB.
CHUNK_ROWS = 250_000
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


class Catalog:
    """An open catalogue: its column names, and its rows in chunks."""

    def __init__(self, path: Path, names: Sequence[str]):
        self.path, self.names = path, list(names)
        self._by_lower = {name.lower(): name for name in reversed(self.names)}

    def find(self, aliases: Sequence[str]) -> str | None:
        """The file's own spelling of the first alias that it has, or None."""
        for alias in aliases:
            if alias.lower() in self._by_lower:
                return self._by_lower[alias.lower()]
        return None

    def resolve(self, columns: Sequence[Column]) -> dict[str, str]:
        """Project name -> name in the file, for every column that is there.

        Raises StarglotError with all the needed columns that are missing, their accepted names, and the columns
        of the file, nearest first.
        """
        found = {column.name: self.find(column.aliases) for column in columns}
        missing = [column for column in columns if column.needed and found[column.name] is None]
        if missing:
            raise missing_columns(self.path, self.names, {c.name: c.aliases for c in missing})
        return {name: actual for name, actual in found.items() if actual is not None}

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        """The named columns (as the file spells them), CHUNK_ROWS rows at a time, in the file's order."""
        raise NotImplementedError


class _FitsCatalog(Catalog):
    def __init__(self, path: Path, hdus: fitsio.FITS):
        self._hdus = hdus
        tables = [hdu for hdu in hdus if hdu.get_exttype() == "BINARY_TBL"]
        if not tables:
            raise StarglotError("the file has no binary table", where=path, todo="point the config at a catalogue")
        self._table = tables[0]
        super().__init__(path, self._table.get_colnames())

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        total = self._table.get_nrows()
        for start in range(0, total, CHUNK_ROWS):
            # fitsio hands back the file's big-endian bytes; Arrow wants native ones.
            rows = self._table[list(names)][start : min(start + CHUNK_ROWS, total)]
            yield {name: _native(rows[name]) for name in names}

    def element_order(self, symbol: str) -> list[str] | None:
        """Upper-case names in a one-row table's array column (APOGEE's HDU3: ELEM_SYMBOL, PARAM_SYMBOL), or None."""
        for hdu in self._hdus:
            if hdu.get_exttype() == "BINARY_TBL" and hdu is not self._table:
                actual = {name.upper(): name for name in hdu.get_colnames()}.get(symbol)
                if actual is not None:
                    return [str(value).strip().upper() for value in np.asarray(hdu[actual][:]).reshape(-1)]
        return None


class _CsvCatalog(Catalog):
    def __init__(self, path: Path, plain: Path):
        self._plain = plain
        with open(plain, encoding="utf-8") as handle:
            header = handle.readline()
        # LAMOST's own CSV catalogues are separated by bars.
        self._separator = "|" if header.count("|") > header.count(",") else ","
        super().__init__(path, [name.strip().strip('"') for name in header.rstrip("\r\n").split(self._separator)])

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        reader = pacsv.open_csv(
            self._plain,
            # Everything is read as text: ids keep every digit, and placeholders are dealt with in one place.
            read_options=pacsv.ReadOptions(column_names=self.names, skip_rows=1, block_size=1 << 25),
            parse_options=pacsv.ParseOptions(delimiter=self._separator),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(names), column_types=dict.fromkeys(names, pa.string())
            ),
        )
        for batch in reader:
            yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in names}

    def element_order(self, symbol: str) -> list[str] | None:
        """A CSV file has one table and so no such order."""
        return None


def missing_columns(path: Path, names: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> StarglotError:
    """The error for needed columns (project name -> accepted names) that a catalogue with ``names`` does not have."""
    accepted = "; ".join(f"{name}: {' or '.join(aliases)}" for name, aliases in wanted.items())
    aliases = [alias.lower() for options in wanted.values() for alias in options]

    def nearness(name: str) -> float:
        return max(difflib.SequenceMatcher(None, name.lower(), alias).ratio() for alias in aliases)

    near = sorted(names, key=lambda name: (-nearness(name), name))
    shown = ", ".join(near[:15]) + (f" and {len(near) - 15} more" if len(near) > 15 else "")
    plural = "s" if len(wanted) > 1 else ""
    return StarglotError(
        f"the catalogue lacks the needed column{plural} {', '.join(wanted)}",
        where=path,
        allowed=f"{accepted} (any case); the file has, nearest first: {shown}",
        todo="check that the config names the right catalogue and release, or rename the column in the file",
    )


@contextmanager
def open_catalog(path: str | Path) -> Iterator[Any]:
    """Open a catalogue: the first binary table of a FITS file, or a CSV file; either may be gzipped.

    Yields a :class:`Catalog` that also has ``element_order(symbol)``.  A file that is missing, unreadable, cut off
    or of another kind is a StarglotError.
    """
    path = Path(path)
    try:
        with _plain(path) as plain:
            if path.name.lower().removesuffix(".gz").endswith((".csv", ".txt")):
                yield _CsvCatalog(path, plain)
            else:
                with fitsio.FITS(str(plain)) as hdus:
                    yield _FitsCatalog(path, hdus)
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_columns(path: str | Path, columns: Sequence[Column]) -> pa.Table:
    """The wanted ``columns`` of a catalogue under the project's names, rows in the file's order.

    Numbers are float64 or int64, texts and Gaia ids strings without blanks around them, vectors lists; what is
    missing is null, and so is every row of a column that is not needed and not there.
    """
    with open_catalog(path) as catalog:
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


def _native(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


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


# ---------------------------------------------------------------- files


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary inflated copy of a gzipped one."""
    with open(path, "rb") as handle:
        zipped = handle.read(2) == b"\x1f\x8b"
    if not zipped:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="starglot-") as folder:
        plain = Path(folder) / "catalogue"
        with gzip.open(path, "rb") as source, open(plain, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 22)
        yield plain


def _unreadable(path: Path, error: Exception) -> StarglotError:
    if not path.exists():
        near = difflib.get_close_matches(path.name, _siblings(path), n=1)
        hint = f"; beside it there is {near[0]}" if near else ""
        return StarglotError(
            f"the catalogue is not there{hint}", where=path, todo="fetch it or correct its path; see `make check`"
        )
    if isinstance(error, OSError) and error.errno in (28, 122):
        return StarglotError(
            "no room to inflate the gzipped catalogue",
            where=path,
            todo="point TMPDIR at a disk with some GB free, or gunzip the catalogue and name that file",
        )
    detail = " ".join(str(error).split())
    return StarglotError(
        f"the catalogue cannot be read: {detail}",
        where=path,
        allowed="a FITS file with a binary table, or CSV; either may be gzipped",
        todo="check that it was downloaded whole and that you may read it",
    )


def _siblings(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
