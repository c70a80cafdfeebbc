"""Values of a FITS table's columns.  FITS standard 4.0: 7.2 (ASCII tables), 7.3 (binary tables).

fitsio (CFITSIO) reads numbers and bits.  What it does not read right is taken from astropy's view of the rows, as
they are stored: texts (fitsio fails at a byte that is not ASCII), logicals (undefined ones would be false), scaled
numbers (it takes the bytes of whole ones for those of floats), and ASCII tables (it reads whole numbers by way of
float64, and fails at a TNULL that is no number).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import fitsio
import numpy as np
from astropy.io import fits

from starglot.errors import StarglotError

log = logging.getLogger(__name__)

#: What a whole number without a value (TNULL, an undefined logical) becomes: a placeholder that every reader knows.
MISSING_WHOLE = -9999

#: CFITSIO's codes of column types; those of arrays of varying length are negative.
_LOGICAL, _TEXT, _COMPLEX = 14, 16, (83, 163)
#: TZERO of signed bytes and of unsigned numbers of 16, 32 and 64 bits, by the code of what is stored.
_SIGN_ZERO = {11: -128, 21: 2**15, 41: 2**31, 81: 2**63}


def values_of(
    hdu: fits.BinTableHDU | fits.TableHDU,
    table: fitsio.hdu.TableHDU,
    columns: Mapping[str, int],
    start: int,
    stop: int,
    where: str,
) -> dict[str, np.ndarray]:
    """Rows start to stop of columns (name -> number, from 0): (rows,), or (rows, items) of a vector.

    ``hdu`` and ``table`` are one table as astropy and as fitsio have it; in ``hdu`` column 0 is called c1.  Strings
    are text without what follows a NUL; numbers have TSCAL and TZERO applied, whole ones stay whole.  Strings that
    are neither ASCII nor UTF-8 are read as Latin-1 and counted in the log.

    Raises StarglotError for a kind of column that a catalogue's value cannot be.
    """
    infos = table.get_info()["colinfo"]
    values: dict[str, np.ndarray] = {}
    by_fitsio: dict[int, str] = {}
    for name, index in columns.items():
        info, place = infos[index], f"{where}, column {name}"
        _refuse(info, place)
        stored = hdu.data.view(np.ndarray)[f"c{index + 1}"][start:stop]  # nothing is read yet
        if isinstance(hdu, fits.TableHDU):
            values[name] = _ascii_values(_native(stored), hdu.header, index + 1, place, start)
        elif info["type"] == _TEXT:
            letters = info["width"] if info["repeat"] % info["width"] == 0 else info["repeat"]  # of one string
            values[name] = _texts(_native(stored).reshape(-1, 1).view(f"S{letters}"), place, start)
        elif info["type"] == _LOGICAL:
            values[name] = np.where(stored == 0, MISSING_WHOLE, stored == ord("T"))
        elif info["tscale"] != 1 or info["tzero"] not in (0, _SIGN_ZERO.get(info["type"])):
            values[name] = _scaled(_native(stored), hdu.header, index + 1, place)
        else:
            by_fitsio[index] = name
    if by_fitsio:
        rows = table.read_columns(sorted(by_fitsio), rows=np.arange(start, stop))
        for index, field in zip(sorted(by_fitsio), rows.dtype.names, strict=True):
            name = by_fitsio[index]
            values[name] = _native(rows[field])
            if values[name].dtype.kind != "f":
                values[name] = _whole(values[name], hdu.header, index + 1, f"{where}, column {name}")
    return {name: each.reshape((len(each), -1) if each.size > len(each) else -1) for name, each in values.items()}


def _refuse(info: Mapping[str, Any], where: str) -> None:
    refused = (
        "arrays of varying length" if info["type"] < 0 else "complex numbers" if info["type"] in _COMPLEX else None
    )
    if refused:
        raise StarglotError(
            f"the column holds {refused}",
            where=where,
            allowed="numbers, texts, logicals, and arrays of a fixed length",
            todo="write the catalogue with such a column (astropy: table[name] = ...)",
        )
    if info["repeat"] == 0:
        raise StarglotError(
            "the column has room for no value",
            where=where,
            allowed="a repeat count of 1 or more",
            todo="write the catalogue without this column, or with values in it",
        )


def _native(values: np.ndarray) -> np.ndarray:
    native: np.ndarray = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return native


def _scaled(raw: np.ndarray, header: fits.Header, number: int, where: str) -> np.ndarray:
    scale, zero = header.get(f"TSCAL{number}", 1), header.get(f"TZERO{number}", 0)
    whole = raw.dtype.kind in "iu"
    if whole and scale == 1 and float(zero).is_integer() and abs(zero) < 2**63:
        return _whole(raw.astype(np.int64) + int(zero), header, number, where)
    values: np.ndarray = raw.astype(np.float64) * scale + zero
    if whole and f"TNULL{number}" in header:
        values[raw == int(header[f"TNULL{number}"])] = np.nan
    return values


def _whole(values: np.ndarray, header: fits.Header, number: int, where: str) -> np.ndarray:
    """Whole numbers, TZERO applied, as int64."""
    missing = np.zeros(values.shape, bool)
    if f"TNULL{number}" in header and values.dtype.kind in "iu":
        missing = values == int(header[f"TNULL{number}"]) + int(header.get(f"TZERO{number}", 0))
    if values.dtype == np.uint64 and (values[~missing] >= 2**63).any():
        raise StarglotError(
            "the column holds integers of 2**63 or more",
            where=where,
            allowed="whole numbers below 2**63",
            todo="write the column as text",
        )
    values = values.astype(np.int64)
    values[missing] = MISSING_WHOLE
    return values


def _texts(texts: np.ndarray, where: str, first_row: int) -> np.ndarray:
    letters = texts.view(np.uint8).reshape(texts.size, -1)
    cut = (letters[:, :-1] == 0) & (letters[:, 1:] != 0)
    if not (letters >= 128).any() and not cut.any():
        return texts.astype(str)
    items = texts.size // len(texts)
    flat = decoded(texts.reshape(-1), lambda place: f"{where}, row {first_row + place // items + 1}")
    return flat.reshape(texts.shape)


def decoded(texts: np.ndarray, where: Callable[[int], str]) -> np.ndarray:
    """Bytes up to a NUL as text: UTF-8, or Latin-1 where they are not; the latter are counted in the log."""
    foreign: list[int] = []
    out = np.empty(len(texts), object)
    for place, text in enumerate(texts):
        content = bytes(text).partition(b"\0")[0]
        try:
            out[place] = content.decode()
        except UnicodeDecodeError:
            foreign.append(place)
            out[place] = content.decode("latin-1")
    if foreign:
        log.warning(
            "%s: %r is not UTF-8 and is read as Latin-1 (%d such texts in %d rows)",
            *(where(foreign[0]), out[foreign[0]], len(foreign), len(texts)),
        )
    return out


def _ascii_values(cells: np.ndarray, header: fits.Header, number: int, where: str, first_row: int) -> np.ndarray:
    """Values of an ASCII table as texts; what is TNULL is ''."""
    if header.get(f"TSCAL{number}", 1) != 1 or header.get(f"TZERO{number}", 0) != 0:
        raise StarglotError(
            "an ASCII table's column with TSCAL or TZERO", where=where, todo="write the catalogue as a binary table"
        )
    texts = np.char.strip(_texts(cells, where, first_row).astype(str))
    null = str(header.get(f"TNULL{number}", "")).strip()
    if null:
        texts = np.where(texts == null, "", texts)
    form, _, decimals = str(header[f"TFORM{number}"]).strip().partition(".")
    if form[0] in "FED":
        texts = np.char.replace(np.char.upper(texts), "D", "E")
        pointless = (texts != "") & (np.char.find(texts, ".") < 0)
        if decimals.strip("0") and pointless.any():
            raise StarglotError(
                f"{int(pointless.sum())} numbers have no decimal point, and {decimals} decimals are declared",
                where=where,
                todo="write the catalogue as a binary table",
            )
    return texts
