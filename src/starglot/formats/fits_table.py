"""Tables of FITS files: which of them is the catalogue, and its rows in chunks.

astropy reads the headers and fitsio the wanted columns, so that memory grows only with the size of a chunk.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import fitsio
import numpy as np
from astropy.io import fits

from starglot.errors import StarglotError
from starglot.formats.catalog import Catalog, Column
from starglot.formats.fits_values import values_of

log = logging.getLogger(__name__)

#: Rows read at a time; a chunk of the columns that are kept is then some tens of MB.
CHUNK_ROWS = 250_000
#: Bytes of a FITS file come in blocks.
_BLOCK = 2880


class _Table:
    """A table of a FITS file: its columns' names, and where it is."""

    def __init__(self, hdu: fits.BinTableHDU | fits.TableHDU, index: int):
        header = hdu.header
        self.hdu, self.index = hdu, index
        name = str(header.get("EXTNAME", "")).strip()
        self.place = f"HDU {index}" + (f" ({name})" if name else "")
        self.rows, width, columns = (_count(header, key) for key in ("NAXIS2", "NAXIS1", "TFIELDS"))
        numbers = range(1, columns + 1)
        forms = {f"TFORM{number}": header[f"TFORM{number}"] for number in numbers}
        self.names = [str(header.get(f"TTYPE{number}", "")).strip() or f"col{number}" for number in numbers]
        for number in numbers:
            header[f"TTYPE{number}"] = f"c{number}"  # astropy gives no data where names are missing or repeated,
            header.remove(f"TDIM{number}", ignore_missing=True)  # and wrong rows where this says less than TFORM
        try:
            needed = hdu.columns.dtype.itemsize
        except fits.VerifyError as error:
            bad = [key for key, form in forms.items() if repr(form) in str(error)]
            raise ValueError(f"{self.place}, {', '.join(bad)}: {error}") from error
        if needed > width or (needed < width and isinstance(hdu, fits.BinTableHDU)):
            raise ValueError(f"{self.place}: the columns need {needed} bytes, a row has {width}")
        self.end: int = hdu.fileinfo()["datLoc"] + self.rows * width
        self.compressed = bool(header.get("ZTABLE", False))


class FitsCatalog(Catalog):
    """The first table of a FITS file that has all the needed columns of ``wanted``, or else the one nearest to it.

    Raises StarglotError where the file has no table, is cut off, or has the columns in a compressed table.
    """

    def __init__(self, path: Path, plain: Path, hdus: fits.HDUList, wanted: Sequence[Column], files: ExitStack):
        self._size = plain.stat().st_size
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
        super().__init__(path, self._table.names, where)
        self._require_whole(self._table, where)
        if not self._table.rows:
            log.warning("%s: the table has no rows", where)
        self._fits = files.enter_context(_in_fitsio(plain, self._size))

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        """The named columns (as the file spells them), CHUNK_ROWS rows at a time, in the file's order."""
        for start in range(0, self._table.rows, CHUNK_ROWS):
            yield self._values(self._table, names, start, min(start + CHUNK_ROWS, self._table.rows), self.where)

    def element_order(self, symbol: str) -> list[str] | None:
        """Upper-case names in a one-row table's array column (APOGEE's HDU3: ELEM_SYMBOL, PARAM_SYMBOL), or None."""
        for table in self._tables:
            for name in table.names:
                if table is not self._table and table.rows and name.upper() == symbol:
                    where = f"{self.path}, {table.place}"
                    self._require_whole(table, where)
                    values = self._values(table, [name], 0, table.rows, where)[name]
                    return [str(value).strip().upper() for value in values.reshape(-1)]
        return None

    def _values(
        self, table: _Table, names: Sequence[str], start: int, stop: int, where: str
    ) -> dict[str, np.ndarray]:
        columns = {name: table.names.index(name) for name in names}
        return values_of(table.hdu, self._fits[table.index], columns, start, stop, where)

    def _require_whole(self, table: _Table, where: str) -> None:
        if table.end > self._size:
            raise StarglotError(
                f"the file is cut off: its table ends at byte {table.end}, the file at byte {self._size}",
                where=where,
                todo="fetch it again",
            )


@contextmanager
def opened(path: Path, plain: Path, wanted: Sequence[Column]) -> Iterator[FitsCatalog]:
    """The catalogue in a FITS file; ``plain`` is the file itself or its inflated copy.

    Raises StarglotError as FitsCatalog does, OSError or ValueError for a file that astropy or fitsio cannot read.
    """
    with ExitStack() as files:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                hdus = files.enter_context(fits.open(plain, memmap=True, disable_image_compression=True))
                len(hdus)  # all headers are read
                # What astropy says of headers does not matter if the catalogue's is read; where files end, does.
                for text in {str(warning.message) for warning in said}:
                    if "corrupted" in text or "truncated" in text:
                        log.warning("%s: %s", path, " ".join(text.split()))
                catalog = FitsCatalog(path, plain, hdus, wanted, files)
            except (AttributeError, IndexError, KeyError, TypeError, fits.VerifyError) as error:
                raise ValueError(f"a damaged header ({error})") from error
        yield catalog


@contextmanager
def _in_fitsio(plain: Path, size: int) -> Iterator[fitsio.FITS]:
    """A FITS file, opened by fitsio."""
    with ExitStack() as files:
        file: IO[bytes] = files.enter_context(open(plain, "rb"))
        if size % _BLOCK:  # CFITSIO reads only whole blocks; without its padding, a file is padded in a copy
            whole, file = file, files.enter_context(tempfile.NamedTemporaryFile(prefix="starglot-"))
            shutil.copyfileobj(whole, file, 1 << 22)
            file.write(bytes(-size % _BLOCK))
            file.flush()
        # By its number: in a name, CFITSIO takes brackets and more for its own syntax.
        yield files.enter_context(fitsio.FITS(f"/dev/fd/{file.fileno()}"))


def _count(header: fits.Header, key: str) -> int:
    """A count from a header.  Raises ValueError for anything that is not a count."""
    value = header[key]
    if type(value) is not int or value < 0:
        raise ValueError(f"{key} is {value!r}")
    return value


def _chosen(path: Path, tables: Sequence[_Table], wanted: Sequence[Column]) -> _Table:
    """The first table with all needed columns; where none has them, the one with most of them."""

    def lacks(table: _Table) -> int:
        names = {name.lower() for name in table.names}
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
