"""The bytes of a FITS table's column -> its values.  FITS standard 4.0: 7.2 (ASCII tables), 7.3 (binary tables)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from starglot.errors import StarglotError
from starglot.surveys.fits_bytes import COLUMN_TYPES

log = logging.getLogger(__name__)

#: What a whole number without a value (TNULL, an undefined logical) becomes: a placeholder that every reader knows.
MISSING_WHOLE = -9999

_BINARY = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])(.*)")
_ASCII = re.compile(r"\s*([AIFED])(\d+)(?:\.(\d+))?")
#: Bytes of one element.
_BYTES = {"L": 1, "A": 1, "C": 8, "M": 16, "P": 8, "Q": 16} | {
    letter: np.dtype(kind).itemsize for letter, kind in COLUMN_TYPES.items()
}
_REFUSED = {
    "C": "complex numbers",
    "M": "complex numbers",
    "P": "arrays of varying length",
    "Q": "arrays of varying length",
}


@dataclass(frozen=True)
class Field:
    """A column of a FITS table.

    number: counted from 1; letter: of its TFORM; items: values in a row; start, width: its bytes in a row;
    decimals: digits after an ASCII table's implied point.
    """

    name: str
    number: int
    letter: str
    items: int
    start: int
    width: int
    decimals: int = 0


def fields_of(header: fits.Header) -> list[Field]:
    """The columns of a binary or an ASCII table, in order.  Raises ValueError for one that is not understood."""
    of_kind = _ascii_field if header["XTENSION"].strip() == "TABLE" else _binary_field
    found: list[Field] = []
    end = 0
    for number in range(1, header["TFIELDS"] + 1):
        found.append(of_kind(header, number, end))
        end = found[-1].start + found[-1].width
    return found


def _name(header: fits.Header, number: int) -> str:
    return str(header.get(f"TTYPE{number}", "")).strip() or f"col{number}"


def _binary_field(header: fits.Header, number: int, start: int) -> Field:
    form = str(header[f"TFORM{number}"])
    parsed = _BINARY.match(form)
    if parsed is None:
        raise ValueError(f"TFORM{number} = {form!r} is no format of a binary table")
    count, letter = int(parsed[1] or 1), parsed[2]
    if letter == "X":
        return Field(_name(header, number), number, letter, count, start, -(-count // 8))
    items = count
    if letter == "A":
        items = _strings(parsed[3], str(header.get(f"TDIM{number}", "")), count)
    return Field(_name(header, number), number, letter, items, start, count * _BYTES[letter])


def _strings(rest: str, shape: str, count: int) -> int:
    """How many strings a row holds: by TDIM ('(8,4)': four of eight), or by the older form '32A8'."""
    sizes = [int(size) for size in re.findall(r"\d+", shape)]
    width = sizes[0] if len(sizes) > 1 else int(rest) if rest.strip().isdigit() and int(rest) else count
    return count // width if width and count % width == 0 else 1


def _ascii_field(header: fits.Header, number: int, _: int) -> Field:
    form = str(header[f"TFORM{number}"])
    parsed = _ASCII.match(form)
    if parsed is None:
        raise ValueError(f"TFORM{number} = {form!r} is no format of an ASCII table")
    start = int(header[f"TBCOL{number}"]) - 1
    return Field(_name(header, number), number, parsed[1], 1, start, int(parsed[2]), int(parsed[3] or 0))


def values_of(
    cells: NDArray[np.uint8], field: Field, header: fits.Header, where: str, first_row: int
) -> NDArray[np.generic]:
    """The values in (rows, width) bytes: (rows,), or (rows, items) of a vector.

    Strings are text without what follows a NUL; numbers have TSCAL and TZERO applied, whole ones stay whole.  Strings
    that are neither ASCII nor UTF-8 are read as Latin-1 and counted in the log.  ``first_row`` is the number of the
    first row, from 0.

    Raises StarglotError for a kind of column that a catalogue's value cannot be.
    """
    if header["XTENSION"].strip() == "TABLE":
        return _ascii_values(cells, field, header, where)
    if field.letter in _REFUSED:
        raise StarglotError(
            f"the column holds {_REFUSED[field.letter]}",
            where=where,
            allowed="numbers, texts, logicals, and arrays of a fixed length",
            todo="write the catalogue with such a column (astropy: table[name] = ...)",
        )
    if field.items == 0 or field.width == 0:
        raise StarglotError("the column has room for no value (its repeat count is 0)", where=where)
    if field.letter == "A":
        values = _texts(cells.reshape(len(cells) * field.items, -1), where, first_row, field.items)
    elif field.letter == "X":
        values = np.unpackbits(cells, axis=1)[:, : field.items].astype(np.int64)
    elif field.letter == "L":
        values = np.where(cells == 0, MISSING_WHOLE, cells == ord("T")).astype(np.int64)
    else:
        raw = cells.reshape(-1).view(COLUMN_TYPES[field.letter])
        values = _numbers(raw.astype(raw.dtype.newbyteorder("=")), field, header, where)
    return values.reshape(len(cells), field.items) if field.items > 1 else values.reshape(-1)


def _numbers(raw: np.ndarray, field: Field, header: fits.Header, where: str) -> np.ndarray:
    scale, zero = header.get(f"TSCAL{field.number}", 1), header.get(f"TZERO{field.number}", 0)
    missing = None
    if raw.dtype.kind in "iu" and f"TNULL{field.number}" in header:
        missing = raw == int(header[f"TNULL{field.number}"])
        if not missing.any():
            missing = None
    if raw.dtype.kind in "iu" and scale == 1 and float(zero).is_integer():
        return _whole(raw, int(zero), missing, where)
    if scale != 1 or zero != 0:
        raw = raw.astype(np.float64) * scale + zero
    if missing is not None:
        raw[missing] = np.nan
    return raw


def _whole(raw: np.ndarray, zero: int, missing: np.ndarray | None, where: str) -> np.ndarray:
    """Whole numbers as int64: unsigned ones are stored less 2**15, 2**31 or 2**63."""
    if zero == 0 and missing is None:
        return raw
    values = raw.astype(np.int64)
    if zero == 2**63:
        values = values ^ np.int64(-(2**63))  # the sum, less its carry
        if (values[~missing] if missing is not None else values).min(initial=0) < 0:
            raise StarglotError("the column holds whole numbers of 2**63 and above", where=where)
    else:
        values += zero
    if missing is not None:
        values[missing] = MISSING_WHOLE
    return values


def _texts(cells: NDArray[np.uint8], where: str, first_row: int, items: int) -> np.ndarray:
    # What follows a NUL is no part of the string; numpy drops only NULs at the end.
    ended = np.maximum.accumulate(cells == 0, axis=1)
    if (ended & (cells != 0)).any():
        cells = np.where(ended, 0, cells).astype(np.uint8)
    texts = np.ascontiguousarray(cells).view(f"S{cells.shape[1]}").reshape(-1)
    if not (cells >= 128).any():
        return np.char.decode(texts, "ascii")
    return decoded(texts, lambda place: f"{where}, row {first_row + place // items + 1}")


def decoded(texts: np.ndarray, where: Callable[[int], str]) -> np.ndarray:
    """Bytes as text: UTF-8, or Latin-1 where they are not; the latter are counted in the log, with the first one."""
    foreign: list[int] = []
    out = np.empty(len(texts), object)
    for place, text in enumerate(texts):
        try:
            out[place] = bytes(text).decode()
        except UnicodeDecodeError:
            foreign.append(place)
            out[place] = bytes(text).decode("latin-1")
    if foreign:
        log.warning(
            "%s: %r is not UTF-8 and is read as Latin-1 (%d such texts in %d rows)",
            *(where(foreign[0]), out[foreign[0]], len(foreign), len(texts)),
        )
    return out


def _ascii_values(cells: NDArray[np.uint8], field: Field, header: fits.Header, where: str) -> np.ndarray:
    """Values of an ASCII table as texts; what is TNULL is ''."""
    if header.get(f"TSCAL{field.number}", 1) != 1 or header.get(f"TZERO{field.number}", 0) != 0:
        raise StarglotError(
            "an ASCII table's column with TSCAL or TZERO", where=where, todo="write the catalogue as a binary table"
        )
    texts = np.char.strip(_texts(cells, where, 0, 1).astype(str))
    null = str(header.get(f"TNULL{field.number}", "")).strip()
    if null:
        texts = np.where(texts == null, "", texts)
    if field.letter in "FED":
        texts = np.char.replace(np.char.upper(texts), "D", "E")
        pointless = (texts != "") & (np.char.find(texts, ".") < 0)
        if field.decimals and pointless.any():
            raise StarglotError(
                f"{int(pointless.sum())} numbers have no decimal point, and {field.decimals} decimals are declared",
                where=where,
                todo="write the catalogue as a binary table",
            )
    return texts
