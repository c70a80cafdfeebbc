"""Values of a catalogue's column -> texts, numbers, whole numbers and flags, missing ones as null.

Columns come as arrays of the file's own type, or as text (CSV).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.formats.counts import tally
from starglot.formats.ids import exact_integer

#: Numbers that surveys write where there is none.  9999.99 is the paper's spelling of APOGEE's placeholder.
MISSING_NUMBERS = (-9999.0, -9999.99, 9999.99)
#: Texts that surveys write where there is none, in lower case.
MISSING_TEXTS = frozenset({"", "non", "none", "null", "nan", "n/a", "<na>", "nat", "--", "-", "-9999", "-9999.0"})

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_LIMIT = re.compile(rf"[<>≤≥]=?\s*{_NUMBER}")
_TRUE = frozenset({"t", "true", "y", "yes"})
_FALSE = frozenset({"f", "false", "n", "no"})
#: Every digit a nine, or minus such a number: -99, 99.99, 999.9, -9.999995e8 in single precision.
_NINES = re.compile(r"-?(?:99+(?:\.9*)?0*|9\.99+(?:5\d*)?(?:e[+-]?\d+)?)")


@dataclass(frozen=True)
class Where:
    """The place of a column's values, for messages: file, the project's name of the column, rows before these."""

    path: Path | str
    column: str
    before: int = 0

    def error(self, what: str, rows: np.ndarray, values: Any, todo: str) -> StarglotError:
        """The error for a column whose ``rows`` (n,) of ``values`` (n,) hold ``what``."""
        found = tally(rows, values, self.before)
        return StarglotError(
            f"column {self.column} holds {what}: {found.rows} of {len(rows)} rows; first: {found.first}",
            where=self.path,
            todo=todo,
        )


def texts_of(values: np.ndarray) -> pa.Array:
    """Texts without blanks around them, whole numbers in plain digits ('5902.0' is 5902); null for missing."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "ascii", "replace")
    if values.dtype.kind == "f":
        values = np.array([_float_text(value) for value in values.tolist()], object)
    elif values.dtype.kind in "iub":
        values = values.astype(str)
    texts = pc.utf8_trim_whitespace(pa.array(values, pa.string()))
    texts = pc.replace_substring_regex(texts, r"^(\d+)\.0*$", r"\1")
    missing = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(MISSING_TEXTS)))
    return pc.if_else(missing, pa.scalar(None, pa.string()), texts)


def numbers_of(values: np.ndarray, where: Where) -> tuple[pa.Array, np.ndarray]:
    """float64, null for missing, NaN, infinity and MISSING_NUMBERS; and the rows (n,) that are limits ('<5.3').

    Raises StarglotError for text that is no number.
    """
    limits = np.zeros(len(values), bool)
    if values.dtype.kind in "SUO":
        texts = pc.replace_substring_regex(texts_of(values), r"^\+", "")
        try:
            numbers = pc.fill_null(texts.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            numbers, limits = _numbers_one_by_one(texts, where)
    else:
        numbers = values.astype(np.float64)
    return pa.array(numbers, mask=_missing(numbers)), limits


def whole_numbers_of(values: np.ndarray, where: Where, *, flags: bool = False) -> pa.Array:
    """int64, exact in all 64 bits, null for missing; with ``flags``, true and false in words count as 1 and 0.

    Raises StarglotError for text that is no number, for fractions, and for numbers whose last digits are lost: in
    floating point beyond what it holds, or as '1.01e+08'.
    """
    if values.dtype.kind in "SUO":
        return _whole_of_texts(texts_of(values), where, flags)
    if values.dtype.kind == "f":
        missing = _missing(values.astype(np.float64))
        limit = 2.0 ** (np.finfo(values.dtype).nmant + 1)
        with np.errstate(invalid="ignore"):
            broken = ~missing & (values != np.round(values))
            lost = ~missing & (np.abs(values) >= limit) & (not flags)
        if broken.any():
            raise where.error("numbers that are not whole", broken, values, "correct them in the catalogue")
        if lost.any():
            raise where.error(
                "whole numbers in floating point, which lost their last digits", lost, values, _AS_INTEGER
            )
        numbers = np.where(missing, 0, values).astype(np.int64)
    else:
        numbers = values.astype(np.int64)
        missing = numbers == int(MISSING_NUMBERS[0])
        if values.dtype == np.uint64 and (values > np.uint64(2**63 - 1)).any():
            raise where.error("numbers beyond 63 bits", values > np.uint64(2**63 - 1), values, "write them as text")
    return pa.array(numbers, mask=missing)


def is_placeholder(numbers: np.ndarray) -> np.ndarray:
    """Which numbers (n,) outside the limits of what they should be stand for none: 0, -1, nines, 1e20 and above."""
    out = (numbers == 0) | (numbers == -1) | (np.abs(numbers) >= 1e20) | _missing(numbers)
    return np.asarray(out | all_nines(numbers))


def all_nines(numbers: np.ndarray) -> np.ndarray:
    """Which numbers (n,) consist of nines, two at least: -99, 99.99, 999, -9.999995e8; in single precision, too."""
    unique, at = np.unique(numbers, return_inverse=True)
    nines = [bool(_NINES.fullmatch(f"{value:.7g}")) for value in unique.tolist()]
    return np.array(nines, bool)[at] if len(nines) else np.zeros(0, bool)


_AS_INTEGER = "use a copy of the catalogue that keeps them as integers or text"


def _missing(numbers: np.ndarray) -> np.ndarray:
    missing = ~np.isfinite(numbers)
    for placeholder in MISSING_NUMBERS:
        missing |= np.abs(numbers - placeholder) < 2e-3  # float32 has -9999.99 as -9999.990234
    return np.asarray(missing)


def _float_text(value: float) -> str | None:
    if not np.isfinite(value):
        return None
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def _numbers_one_by_one(texts: pa.Array, where: Where) -> tuple[np.ndarray, np.ndarray]:
    """(numbers, which rows are limits) of texts of which some are no plain numbers."""
    encoded = texts.dictionary_encode()
    kinds: list[str] = encoded.dictionary.to_pylist()
    special = {"inf", "+inf", "-inf", "infinity", "-infinity"}
    good = [bool(re.fullmatch(_NUMBER, kind)) or kind.lower() in special for kind in kinds]
    limit = [bool(_LIMIT.fullmatch(kind)) for kind in kinds]
    numbers = np.array([*(float(kind) if ok else np.nan for kind, ok in zip(kinds, good, strict=True)), np.nan])
    bad = np.array([*(not (ok or is_limit) for ok, is_limit in zip(good, limit, strict=True)), False])
    codes = _codes(encoded)
    if bad.any():
        first = kinds[int(np.flatnonzero(bad)[0])]
        todo = (
            "write degrees, with a point" if re.search(r"\d[:hd ]\s*\d", first) else "correct it, or leave it empty"
        )
        raise where.error("text that is no number", bad[codes], texts, todo)
    return numbers[codes], np.array([*limit, False])[codes]


def _whole_of_texts(texts: pa.Array, where: Where, flags: bool) -> pa.Array:
    try:
        numbers = pc.replace_substring_regex(texts, r"^\+", "").cast(pa.int64())
    except pa.ArrowInvalid:
        numbers = _whole_one_by_one(texts, where, flags)
    return pc.if_else(pc.equal(numbers, int(MISSING_NUMBERS[0])), pa.scalar(None, pa.int64()), numbers)


def _whole_one_by_one(texts: pa.Array, where: Where, flags: bool) -> pa.Array:
    encoded = texts.dictionary_encode()
    kinds: list[str] = encoded.dictionary.to_pylist()
    numbers: list[int | None] = []
    faults: dict[str, np.ndarray] = {}
    for at, kind in enumerate(kinds):
        word = kind.lower()
        value = 1 if flags and word in _TRUE else 0 if flags and word in _FALSE else exact_integer(kind)
        numbers.append(value if value is None or abs(value) < 2**63 else None)
        if numbers[-1] is None:
            is_number = re.fullmatch(_NUMBER, kind)
            if is_number and _missing(np.array([float(kind)]))[0]:
                continue
            fault = "text that is no number"
            if is_number:
                whole = float(kind).is_integer() and "e" in word
                fault = "whole numbers that lost their last digits" if whole else "numbers that are not whole"
            faults.setdefault(fault, np.zeros(len(kinds) + 1, bool))[at] = True
    codes = _codes(encoded)
    for fault, bad in faults.items():
        raise where.error(
            fault, bad[codes], texts, _AS_INTEGER if "lost" in fault else "correct it, or leave it empty"
        )
    return pa.array([*numbers, None], pa.int64()).take(pa.array(np.where(codes < 0, len(kinds), codes)))


def _codes(encoded: pa.DictionaryArray) -> np.ndarray:
    """Index (n,) into the dictionary, -1 for null."""
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
