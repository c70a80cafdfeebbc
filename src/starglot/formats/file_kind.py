"""The format of a file, recognised from its first bytes: a table, or something else that is found in place of one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

#: First bytes that :func:`other_kind` wants to see.
START = 4096

#: Compressed files that are read: first bytes -> opener.
COMPRESSED: dict[bytes, Callable[[Path], BinaryIO]] = {
    b"\x1f\x8b": lambda path: cast(BinaryIO, gzip.open(path, "rb")),
    b"BZh": lambda path: cast(BinaryIO, bz2.open(path, "rb")),
    b"\xfd7zXZ\x00": lambda path: cast(BinaryIO, lzma.open(path, "rb")),
}

#: What a damaged compressed file raises.
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)

_CONVERT = "python -c \"from astropy.table import Table; Table.read('FILE'{}).write('stars.fits')\""
_BY_START: tuple[tuple[bytes, str, str], ...] = (
    (
        b"PAR1",
        "a Parquet file",
        "write it as CSV: python -c \"import pandas; pandas.read_parquet('FILE').to_csv(...)\"",
    ),
    (b"\x89HDF", "an HDF5 file", "write the table as FITS: " + _CONVERT.format(", path='TABLE'")),
    (b"PK\x03\x04", "a zip archive or an Excel sheet", "unzip it and name the table, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel sheet", "save it as CSV (UTF-8)"),
    (b"\x28\xb5\x2f\xfd", "a zstd-compressed file", "decompress it (zstd -d) and name the result"),
    (b"\x1f\x9d", "a file packed with compress", "decompress it (gunzip) and name the result"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and name the table"),
    (b"Rar!", "a rar archive", "unpack it and name the table"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch the file: git lfs pull"),
    (b"%PDF", "a PDF document", "name the table that it describes"),
    (b"\x93NUMPY", "a NumPy array", "write it as FITS or CSV with column names"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
)


def start_of(path: Path) -> bytes:
    """The first bytes of a file, compression undone.  Raises one of DAMAGED, or OSError."""
    with open(path, "rb") as handle:
        start = handle.read(START)
    opener = opener_of(start)
    if opener is None:
        return start
    with opener(path) as unpacked:
        return unpacked.read(START)


def opener_of(start: bytes) -> Callable[[Path], BinaryIO] | None:
    """What opens a compressed file that begins with ``start``; None for any other."""
    return next((opener for magic, opener in COMPRESSED.items() if start.startswith(magic)), None)


def is_fits(start: bytes) -> bool:
    """Whether a file that begins with ``start`` says that it is FITS."""
    return start.startswith(b"SIMPLE  =")


def other_kind(start: bytes) -> tuple[str, str] | None:
    """(what it is, what to do) of a file that is neither FITS nor a text table; None when it may be one of them."""
    if not start:
        return "an empty file", "fetch it again"
    for magic, what, todo in _BY_START:
        if start.startswith(magic):
            return what, todo
    if start[257:262] == b"ustar":
        return "a tar archive", "unpack it (tar -xf) and name the table"
    return _document(start)


def _document(start: bytes) -> tuple[str, str] | None:
    """Texts that are no tables: web pages, XML, JSON."""
    codec = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = start[: len(start) // 2 * 2].decode(codec, "replace").lstrip().lower()
    if text.startswith("<"):
        if "<votable" in text:
            return "a VOTable", "write it as FITS: " + _CONVERT.format(", format='votable'")
        if "<html" in text or "<!doctype html" in text or "<head" in text or "<body" in text:
            return "a web page", "fetch the file itself: was the download made without logging in?"
        return "an XML document, perhaps an archive's error message", "read it, and fetch the table again"
    if text.startswith(("{", "[{", "[\n")):
        return "a JSON document, perhaps an archive's error message", "read it, and fetch the table again"
    if text.startswith("# %ecsv"):
        return _ecsv(text)
    return None


def _ecsv(text: str) -> tuple[str, str] | None:
    """ECSV with commas is read as what it is, a CSV file with comments."""
    if "# delimiter: ','" in text:
        return None
    return "an ECSV table separated by blanks", "write it as FITS: " + _CONVERT.format(", format='ascii.ecsv'")
