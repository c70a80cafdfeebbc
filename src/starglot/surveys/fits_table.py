"""Opening survey catalogues: FITS tables, or text.

A gzipped catalogue is inflated into a temporary file first (TMPDIR decides where): CFITSIO would otherwise hold all
of it in memory, several GB for a LAMOST release.
"""

from __future__ import annotations

import difflib
import gzip
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fitsio
import numpy as np

from starglot.errors import StarglotError
from starglot.surveys.catalog import Catalog
from starglot.surveys.text_table import TextCatalog

#: Rows read at a time; a chunk of the columns that are kept is then some tens of MB.
CHUNK_ROWS = 250_000


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


def _native(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


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
                yield TextCatalog(path, plain)
            else:
                with fitsio.FITS(str(plain)) as hdus:
                    yield _FitsCatalog(path, hdus)
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error


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
