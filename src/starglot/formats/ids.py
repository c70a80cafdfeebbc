"""Ids as catalogues write them: Gaia's with or without their release, and numbers that lost digits on the way.

A Gaia source id has up to 19 digits, and a 64-bit floating-point number keeps 15 to 17 of them: an id that went
through one (pandas makes a column of integers with a gap floating-point) is the id of no star, or of another one.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: A column's ids count as rounded when that many could be so by chance in fewer than this share of cases.
_CHANCE = 0.02
#: The lowest 7 bits of Gaia's source ids (the component number) are 0 in all releases so far.
_GAIA_STEP = 128

_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?")
_GAIA = re.compile(
    r"(?:gaia[\s_-]*)?(?:(e?dr\d)[\s_:-]*)?(?:source[\s_]?id[\s:=]*)?([+-]?\d[\d.]*(?:e[+-]?\d+)?)", re.I
)
#: Numbers that stand for none beside 0 and the negative ones.
_NO_GAIA = re.compile(r"9{4,6}")
_LARGEST = 2**63 - 1


def exact_integer(text: str) -> int | None:
    """The whole number that a text gives to the last digit: '101', '+0101', '101.0', '1.01e2'.

    None where digits are not written ('1.01e5' may be 101000 or 101049), for fractions, and for what is no number.
    """
    matched = _NUMBER.fullmatch(text.strip().strip("'\"").strip())
    if not matched:
        return None
    sign, whole, fraction, exponent = matched.groups()
    if exponent is None:
        return None if (fraction or "").strip("0") else int(sign + whole)
    value = Decimal(f"{sign}{whole}.{fraction or '0'}e{exponent}")
    written = len((whole + (fraction or "")).lstrip("0"))
    if value != value.to_integral_value() or (value and written < value.adjusted() + 1):
        return None
    return int(value)


def gaia_ids(texts: pa.Array, release: str | None) -> tuple[pa.Array, dict[str, np.ndarray]]:
    """Gaia source ids as plain digits (null where there is none), and the rows that are refused, by VALUE_REASONS.

    texts: as the catalogue writes them, null for missing: '123', 'Gaia DR3 123', 'EDR3 123' (the ids of EDR3 are
    those of DR3), '0123', '123.0'; 0, negative numbers and 999999 stand for none.  Refused: ids of another release
    than ``release``, ids that lost their last digits ('1.23e+18', or all of them multiples of what a 64-bit
    floating-point number can hold), and everything else.
    """
    plain = pc.fill_null(pc.match_substring_regex(texts, r"^([1-9][0-9]{0,17}|[1-8][0-9]{18})$"), False)
    odd = np.flatnonzero(~plain.to_numpy(zero_copy_only=False) & pc.is_valid(texts).to_numpy(zero_copy_only=False))
    refused = {reason: np.zeros(len(texts), bool) for reason in ("no_gaia_id", "other_release", "rounded_id")}
    ids = pc.if_else(plain, texts, pa.scalar(None, pa.string()))
    if len(odd):
        found = ids.to_numpy(zero_copy_only=False).copy()
        for row, text in zip(odd, texts.take(pa.array(odd)).to_pylist(), strict=True):
            found[row], reason = _gaia_id(text, release)
            if reason:
                refused[reason][row] = True
        ids = pa.array(found, pa.string())
    ids = pc.if_else(
        pc.fill_null(pc.match_substring_regex(ids, r"^9{4,6}$"), False), pa.scalar(None, pa.string()), ids
    )
    present = np.flatnonzero(pc.is_valid(ids).to_numpy(zero_copy_only=False))
    numbers = pc.cast(ids.take(pa.array(present)), pa.int64()).to_numpy(zero_copy_only=False)
    rounded = present[were_rounded(numbers)]
    if len(rounded):
        refused["rounded_id"][rounded] = True
        ids = pc.if_else(pa.array(refused["rounded_id"]), pa.scalar(None, pa.string()), ids)
    return ids, refused


def _gaia_id(text: str, release: str | None) -> tuple[str | None, str | None]:
    """(id or None, why it is refused or None: there is none)."""
    matched = _GAIA.fullmatch(text.strip().strip("'\"").strip())
    if not matched:
        return None, "no_gaia_id"
    of, number = matched.groups()
    value = exact_integer(number)
    if value is None:
        # From 2**53 on, a floating-point number stands for several whole ones.
        return None, "rounded_id" if _NUMBER.fullmatch(number) and float(number) >= 2**53 else "no_gaia_id"
    if value <= 0 or _NO_GAIA.fullmatch(str(value)):
        return None, None
    if value > _LARGEST:
        return None, "no_gaia_id"
    if of and release and of.lower().removeprefix("e") != release:
        return None, "other_release"
    return str(value), None


def own_ids(texts: pa.Array) -> tuple[pa.Array, dict[str, np.ndarray]]:
    """A survey's own ids (null for none), and the rows that are refused, by VALUE_REASONS.

    Names stay as they are; 0 and negative numbers stand for none, or would make one star of all rows without an id.
    Numbers with a point or an exponent become plain digits, and are refused where digits are lost.
    """
    odd = pc.fill_null(
        pc.match_substring_regex(texts, r"^([+-]?0*|[+-]?[0-9]+\.[0-9]*|.*[0-9][eE][+-]?[0-9]+|-[0-9]+)$"), False
    )
    rows = np.flatnonzero(odd.to_numpy(zero_copy_only=False))
    rounded = np.zeros(len(texts), bool)
    if not len(rows):
        return texts, {}
    found = texts.to_numpy(zero_copy_only=False).copy()
    for row, text in zip(rows, texts.take(pa.array(rows)).to_pylist(), strict=True):
        if _NUMBER.fullmatch(text):
            value = exact_integer(text)
            rounded[row] = value is None
            found[row] = str(value) if value is not None and value > 0 else None
    return pa.array(found, pa.string()), {"rounded_id": rounded}


def were_rounded(ids: np.ndarray) -> np.ndarray:
    """Which of a column's Gaia ids (n,) int64, all above 0, went through 64-bit floating-point numbers.

    Above 2**60 those hold every second, fourth or eighth of the ids that Gaia gives (multiples of 128).  Where all
    ids of a column are among them, or nearly all of many, and chance would hardly make it so, those are True.
    """
    unique = np.unique(ids)
    # The step between neighbouring floating-point numbers, of 53 bits, where each id is.
    step = np.left_shift(np.int64(1), np.maximum(np.frexp(unique.astype(np.float64))[1] - 53, 0).astype(np.int64))
    held = unique % step == 0
    telling = step > _GAIA_STEP
    n, k = int(telling.sum()), int((telling & held).sum())
    if not n:
        return np.zeros(len(ids), bool)
    if k == n:
        chance = math.exp(float(np.log(_GAIA_STEP / step[telling]).sum()))
    elif k >= 0.9 * n:
        chance = math.exp(-2 * n * (k / n - 0.5) ** 2)  # Hoeffding's bound; one in two is the largest share
    else:
        chance = 1.0
    if chance > _CHANCE:
        return np.zeros(len(ids), bool)
    return np.isin(ids, unique[held & (step > 1)])
