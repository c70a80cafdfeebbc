"""Tables of FITS files: which of them is the catalogue, and its rows in chunks.

astropy reads the headers; values are taken column by column out of the mapped file, so that memory grows with a chunk
of the columns that are kept.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from starglot.errors import StarglotError
from starglot.surveys.catalog import Catalog
from starglot.surveys.fits_values import Field, fields_of, values_of

if TYPE_CHECKING:
    from starglot.surveys.columns import Column

log = logging.getLogger(__name__)

#: Rows read at a time; a chunk of the columns that are kept is then some tens of MB.
CHUNK_ROWS = 250_000


class _Table:
    """A table of a FITS file: its columns, and where its rows are."""

    def __init__(self, hdu: fits.hdu.base.ExtensionHDU, index: int):
        self.header = hdu.header
        name = str(self.header.get("EXTNAME", "")).strip()
        self.place = f"HDU {index}" + (f" ({name})" if name else "")
        self.fields: list[Field] = fields_of(self.header)
        self.rows, self.width = (_count(self.header, key) for key in ("NAXIS2", "NAXIS1"))
        needed = max((field.start + field.width for field in self.fields), default=0)
        if needed > self.width:
            raise ValueError(f"{self.place}: the columns need {needed} bytes, a row has {self.width}")
        self.start: int = hdu.fileinfo()["datLoc"]
        self.compressed = bool(self.header.get("ZTABLE", False))

    @property
    def end(self) -> int:
        return self.start + self.rows * self.width

    def values(self, plain: Path, field: Field, start: int, stop: int, where: str) -> np.ndarray:
        """Rows start to stop of a column."""
        rows = np.memmap(plain, np.uint8, "r", self.start + start * self.width, (stop - start, self.width))
        cells = np.ascontiguousarray(rows[:, field.start : field.start + field.width])
        return values_of(cells, field, self.header, f"{where}, column {field.name}", start)


class FitsCatalog(Catalog):
    """The first table of a FITS file that has all the needed columns of ``wanted``, or else the one nearest to it.

    Raises StarglotError where the file has no table, is cut off, or has the columns in a compressed table.
    """

    def __init__(self, path: Path, plain: Path, hdus: fits.HDUList, wanted: Sequence[Column]):
        self._plain = plain
        size = plain.stat().st_size
        self._tables = [
            _Table(hdu, index)
            for index, hdu in enumerate(hdus)
            if hdu.header.get("XTENSION") in ("BINTABLE", "TABLE")
        ]
        if not self._tables:
            image = ", only an image" if any(hdu.header.get("NAXIS", 0) for hdu in hdus) else ""
            raise StarglotError(
                f"the file has no table{image}",
                where=path,
                todo="point the config at a catalogue; if this should be one, it is cut off: fetch it again",
            )
        self._table = _chosen(path, self._tables, wanted)
        where = f"{path}, {self._table.place}" if len(self._tables) > 1 else str(path)
        if self._table.end > size:
            raise StarglotError(
                f"the file is cut off: its table ends at byte {self._table.end}, the file at byte {size}",
                where=where,
                todo="fetch it again",
            )
        super().__init__(path, [field.name for field in self._table.fields], where)
        if not self._table.rows:
            log.warning("%s: the table has no rows", where)

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        """The named columns (as the file spells them), CHUNK_ROWS rows at a time, in the file's order."""
        by_name = {field.name: field for field in self._table.fields}
        for start in range(0, self._table.rows, CHUNK_ROWS):
            stop = min(start + CHUNK_ROWS, self._table.rows)
            yield {name: self._table.values(self._plain, by_name[name], start, stop, self.where) for name in names}

    def element_order(self, symbol: str) -> list[str] | None:
        """Upper-case names in a one-row table's array column (APOGEE's HDU3: ELEM_SYMBOL, PARAM_SYMBOL), or None."""
        for table in self._tables:
            for field in table.fields:
                if table is not self._table and table.rows and field.name.upper() == symbol:
                    values = table.values(self._plain, field, 0, table.rows, f"{self.path}, {table.place}")
                    return [str(value).strip().upper() for value in values.reshape(-1)]
        return None


@contextmanager
def opened(path: Path, plain: Path, wanted: Sequence[Column]) -> Iterator[FitsCatalog]:
    """The catalogue in a FITS file; ``plain`` is the file itself or its inflated copy.

    Raises StarglotError as FitsCatalog does, OSError or ValueError for a file that astropy cannot read.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            with fits.open(plain, memmap=True, disable_image_compression=True) as hdus:
                len(hdus)  # all headers are read
                # What astropy says of headers does not matter if the catalogue's is read; where files end, does.
                for text in {str(warning.message) for warning in said}:
                    if "corrupted" in text or "truncated" in text:
                        log.warning("%s: %s", path, " ".join(text.split()))
                catalog = FitsCatalog(path, plain, hdus, wanted)
        except (AttributeError, IndexError, KeyError, TypeError, fits.VerifyError) as error:
            raise ValueError(f"a damaged header ({error})") from error
    yield catalog


def _count(header: fits.Header, key: str) -> int:
    """A number of things in a header.  Raises ValueError for anything else."""
    value = header[key]
    if type(value) is not int or value < 0:
        raise ValueError(f"{key} is {value!r}")
    return value


def _chosen(path: Path, tables: Sequence[_Table], wanted: Sequence[Column]) -> _Table:
    """The first table with all needed columns; where none has them, the one with most of them."""

    def lacks(table: _Table) -> int:
        names = {field.name.lower() for field in table.fields}
        return sum(column.needed and not names & {alias.lower() for alias in column.aliases} for column in wanted)

    complete = [table for table in tables if not lacks(table)]
    table = complete[0] if complete else min(tables, key=lacks)
    if table.compressed:
        raise StarglotError(
            "the table is compressed in tiles (fpack)",
            where=f"{path}, {table.place}",
            todo="write it out plain (funpack FILE, from the CFITSIO tools) and name the result",
        )
    if len(tables) > 1:
        log.info("%s: %s is read, of %d tables", path, table.place, len(tables))
    if len(complete) > 1:
        log.warning(
            "%s: %s would do as well as %s, and not a row of it is read",
            *(path, ", ".join(other.place for other in complete[1:]), table.place),
        )
    return table
