"""The little of FITS that one spectrum needs, read from bytes in memory.

A survey's spectra are millions of small gzipped files with long headers of which four keywords matter; parsing
the rest is nine tenths of a general reader's time.  Whatever has a general reader's attention (catalogues, odd
tables) goes through fitsio and astropy.  FITS standard 4.0: sections 3 (blocks), 4 (cards), 7 (data types).
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starglot.formats.file_kind import START, is_fits, other_kind

BLOCK, CARD = 2880, 80

#: BITPIX of images and letters of table columns, as big-endian numpy types.
IMAGE_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
COLUMN_TYPES = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}

_STRING = re.compile(r"'((?:[^']|'')*)'")
_FORMAT = re.compile(r"(\d*)([A-Z])")


class NotReadable(Exception):
    """The bytes are no FITS file, or end too soon."""


@dataclass(frozen=True)
class Unit:
    """One header with its data: cards are the 72 bytes after each keyword; data starts at ``start``."""

    cards: dict[bytes, bytes]
    start: int
    size: int

    def number(self, key: str, default: float | None = None) -> float:
        """A numeric value, as float.  Raises NotReadable when it is absent (without a default) or no number."""
        card = self.cards.get(key.encode())
        if card is None or card[:2] != b"= ":
            if default is None:
                raise NotReadable(f"the header has no {key}")
            return float(default)
        text = card[2:].partition(b"/")[0].strip().replace(b"D", b"E")
        try:
            return float(text)
        except ValueError:
            raise NotReadable(f"{key} is {text.decode('ascii', 'replace')!r}, not a number") from None

    def count(self, key: str, default: int | None = None) -> int:
        """A count from a header: a non-negative integer.  Raises NotReadable for anything else."""
        value = self.number(key, default)
        if not (value >= 0 and value.is_integer()):
            raise NotReadable(f"{key} is {value:g}")
        return int(value)

    def text(self, key: str) -> str:
        """A string value without trailing blanks; '' when it is absent or no string."""
        found = _STRING.match(self.cards.get(key.encode(), b"")[2:].decode("ascii", "replace").lstrip())
        return found[1].replace("''", "'").rstrip() if found else ""

    def is_false(self, key: str) -> bool:
        """True when the keyword is there and says F."""
        return self.cards.get(key.encode(), b"")[2:].partition(b"/")[0].strip() == b"F"


def inflate(content: bytes) -> bytes:
    """Decompress gzip data (recognised from its first bytes, not the file's name); leave anything else unchanged.

    The content may be compressed twice, as web servers do with compressed files.

    Raises NotReadable for a damaged or cut-off stream.  Its checksum is verified.
    """
    for _ in range(3):
        content = _members(content)
    return content


def _members(content: bytes) -> bytes:
    if content[:2] != b"\x1f\x8b":
        return content
    parts = []
    while content[:2] == b"\x1f\x8b":
        stream = zlib.decompressobj(wbits=31)  # the largest window (15), with a header as gzip writes it (16)
        try:
            parts.append(stream.decompress(content))
        except zlib.error as error:
            raise NotReadable(f"damaged gzip stream ({error})") from None
        if not stream.eof:
            raise NotReadable(f"the gzip stream is cut off after {len(content)} bytes")
        content = stream.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def units(content: bytes) -> list[Unit]:
    """The header and data units of a FITS file.

    Raises NotReadable when it does not begin like one, when a header has no END, or when data end too soon
    (a last block that lacks only its padding is accepted, as by other readers).
    """
    if not is_fits(content):
        other = other_kind(content[:START])
        raise NotReadable(f"{other[0]}, not a FITS file" if other else "not a FITS file")
    found = []
    at = 0
    # What follows the last unit may be padding; only a header makes a unit.
    while content[at : at + 6] == b"SIMPLE" or content[at : at + 8] == b"XTENSION":
        unit = _unit(content, at)
        if unit.start + unit.size > len(content):
            raise NotReadable(f"the data end at byte {len(content)} of {unit.start + unit.size}")
        found.append(unit)
        at = unit.start + -(-unit.size // BLOCK) * BLOCK
    return found


def _unit(content: bytes, at: int) -> Unit:
    cards: dict[bytes, bytes] = {}
    for position in range(at, len(content), CARD):
        key = content[position : position + 8].rstrip()
        if key == b"END":
            break
        # The first of repeated keywords counts (COMMENT and HISTORY are not asked for).
        cards.setdefault(key, content[position + 8 : position + CARD])
    else:
        raise NotReadable("a header without END: the file is cut off")
    unit = Unit(cards, at + -(-(position + CARD - at) // BLOCK) * BLOCK, 0)
    axes = [unit.count(f"NAXIS{i + 1}") for i in range(unit.count("NAXIS"))]
    if not axes:
        return unit
    if unit.number("BITPIX") not in IMAGE_TYPES:
        raise NotReadable(f"BITPIX is {unit.number('BITPIX'):g}")
    values = unit.count("GCOUNT", 1) * (unit.count("PCOUNT", 0) + math.prod(axes))
    return Unit(cards, unit.start, abs(int(unit.number("BITPIX"))) // 8 * values)


def image(content: bytes, unit: Unit) -> NDArray[np.float64]:
    """The (rows, columns) image of a primary unit as float64, BSCALE and BZERO applied.

    Raises NotReadable when it has not two axes.
    """
    if unit.count("NAXIS") != 2:
        raise NotReadable(f"an image of {unit.count('NAXIS')} axes, not two")
    kind = IMAGE_TYPES[int(unit.number("BITPIX"))]
    shape = unit.count("NAXIS2"), unit.count("NAXIS1")
    raw = _raw(content, kind, shape[0] * shape[1], unit.start).reshape(shape)
    return _scaled(raw, unit.number("BSCALE", 1.0), unit.number("BZERO", 0.0))


def one_row(content: bytes, unit: Unit, names: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """Vector columns of a one-row binary table as float64, TSCAL and TZERO applied; columns not there are left out.

    Raises NotReadable when a column before or among them has a format that is not understood, or when the columns
    need more bytes than a row has.
    """
    found = {}
    at, end = unit.start, unit.start + unit.count("NAXIS1")
    for column in range(1, unit.count("TFIELDS") + 1):
        form = unit.text(f"TFORM{column}")
        parts = _FORMAT.match(form)
        name = unit.text(f"TTYPE{column}").upper()
        letter, count = (parts[2], int(parts[1] or 1)) if parts else ("", 0)
        width = _column_bytes(letter, count, form)
        if at + width > end:
            raise NotReadable(f"column {name} ends after the row of {unit.count('NAXIS1')} bytes")
        if name in names and letter in COLUMN_TYPES:
            raw = _raw(content, COLUMN_TYPES[letter], count, at)
            found[name] = _scaled(raw, unit.number(f"TSCAL{column}", 1.0), unit.number(f"TZERO{column}", 0.0))
        elif name in names:
            raise NotReadable(f"column {name} has the format {form!r}")
        at += width
    return found


def _raw(content: bytes, kind: str, count: int, at: int) -> NDArray[np.generic]:
    end = at + count * np.dtype(kind).itemsize
    if end > len(content):  # headers that contradict themselves
        raise NotReadable(f"the data end at byte {len(content)} of {end}")
    return np.frombuffer(content, kind, count, at)


def _column_bytes(letter: str, count: int, form: str) -> int:
    if letter == "X":
        return -(-count // 8)
    widths = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "E": 4, "K": 8, "D": 8, "C": 8, "P": 8, "M": 16, "Q": 16}
    if letter not in widths:
        raise NotReadable(f"a column has the format {form!r}")
    return widths[letter] * count


def _scaled(raw: NDArray[np.generic], scale: float, zero: float) -> NDArray[np.float64]:
    values = raw.astype(np.float64)
    return values if scale == 1.0 and zero == 0.0 else zero + scale * values
