"""Opening a survey catalogue in any format, recognised from its first bytes and not from its name alone.

A compressed catalogue is first decompressed into a temporary file (in TMPDIR): a LAMOST release has several GB, too
much for memory.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from starglot.errors import StarglotError
from starglot.formats import file_kind, fits_table
from starglot.formats.catalog import Catalog, Column
from starglot.formats.text_table import TextCatalog

_ALLOWED = "a FITS file with a table, or text: CSV, or columns between tabs, bars or semicolons; gzip, bzip2 or xz"


@contextmanager
def open_catalog(path: str | Path, wanted: Sequence[Column] = ()) -> Iterator[Catalog]:
    """Open a catalogue: FITS or text, compressed or not.

    Of a FITS file with several tables, the first one that has all the needed columns of ``wanted`` is opened.  A file
    that is missing, unreadable, cut off or of another kind is a StarglotError.
    """
    path = Path(path)
    try:
        with _plain(path) as plain:
            start = file_kind.start_of(plain)
            other = file_kind.other_kind(start)
            if other is not None:
                raise StarglotError(
                    f"this is {other[0]}, not a table that can be read", where=path, allowed=_ALLOWED, todo=other[1]
                )
            if file_kind.is_fits(start):
                with fits_table.opened(path, plain, wanted) as catalog:
                    yield catalog
            elif _named_fits(path):
                raise StarglotError(
                    f"this is not a FITS file: it begins with {start[:40]!r}",
                    where=path,
                    allowed=_ALLOWED,
                    todo="fetch it again; if it is a text table, let its name end in .csv or .txt",
                )
            else:
                yield TextCatalog(path, plain)
    except (*file_kind.DAMAGED, ValueError) as error:
        raise _unreadable(path, error) from error


def _named_fits(path: Path) -> bool:
    return any(suffix.lower() in (".fits", ".fit", ".fts", ".fz") for suffix in path.suffixes[-2:])


@contextmanager
def _plain(path: Path, layers: int = 3) -> Iterator[Path]:
    """The file itself, or a temporary inflated copy of a compressed one (compressed twice is what web servers do)."""
    with open(path, "rb") as handle:
        opener = file_kind.opener_of(handle.read(file_kind.START))
    if opener is None or not layers:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="starglot-") as folder:
        plain = Path(folder) / "catalogue"
        with opener(path) as source, open(plain, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 22)
        with _plain(plain, layers - 1) as inner:
            yield inner


def _unreadable(path: Path, error: Exception) -> StarglotError:
    if not path.exists():
        near = difflib.get_close_matches(path.name, _siblings(path), n=1)
        hint = f"; beside it there is {near[0]}" if near else ""
        return StarglotError(
            f"the catalogue is not there{hint}", where=path, todo="fetch it or correct its path; see `make check`"
        )
    if isinstance(error, OSError) and error.errno in (28, 122):  # ENOSPC, EDQUOT
        return StarglotError(
            "no room to inflate the compressed catalogue",
            where=path,
            todo="point TMPDIR at a disk with some GB free, or decompress the catalogue and name that file",
        )
    detail = " ".join(str(error).split())
    return StarglotError(
        f"the catalogue cannot be read: {detail}",
        where=path,
        allowed=_ALLOWED,
        todo="check that it was downloaded whole and that you may read it",
    )


def _siblings(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
