"""Dates as catalogues write them -> 'YYYY-MM-DD'."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pyarrow as pa

_TIME = r"(?:[T\s].*)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.]?)(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}")
_NAMED = (
    re.compile(rf"(?P<day>\d{{1,2}})[-\s.]+(?P<month>[a-z]{{3,9}})[-\s.,]+(?P<year>\d{{4}}){_TIME}", re.I),
    re.compile(rf"(?P<month>[a-z]{{3,9}})[-\s.]+(?P<day>\d{{1,2}})[-\s.,]+(?P<year>\d{{4}}){_TIME}", re.I),
    re.compile(rf"(?P<year>\d{{4}})[-\s.]+(?P<month>[a-z]{{3,9}})[-\s.]+(?P<day>\d{{1,2}}){_TIME}", re.I),
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
    "december",
)
#: Years in which a spectrum may have been taken; eight digits beyond them are no date.
_YEARS = range(1850, 2151)


def read_dates(texts: pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """(ISO dates, null for none; rows whose text is no date; rows where day and month cannot be told apart).

    Read: YYYY-MM-DD, YYYYMMDD, YYYY/MM/DD, a time of day after them, months by their English names, DD.MM.YYYY, and
    DD/MM/YYYY or MM/DD/YYYY where some date of the column tells which of them it is.
    """
    encoded = texts.dictionary_encode()
    kinds: list[str] = encoded.dictionary.to_pylist()
    day_first, month_first = _orders(kinds)
    iso: list[str | None] = []
    unclear = np.zeros(len(kinds) + 1, bool)
    for at, text in enumerate(kinds):
        last = _YEAR_LAST.fullmatch(text)
        if last and last.group(2) != "." and last.group(1) != last.group(3) and day_first == month_first:
            unclear[at] = (
                _iso(last.group(4), last.group(3), last.group(1)) is not None
                or _iso(last.group(4), last.group(1), last.group(3)) is not None
            )
            iso.append(None)
        elif last:
            swapped = month_first and not day_first and last.group(2) != "."
            day, month = (last.group(3), last.group(1)) if swapped else (last.group(1), last.group(3))
            iso.append(_iso(last.group(4), month, day))
        else:
            iso.append(_one_date(text))
    codes = encoded.indices.to_numpy(zero_copy_only=False) if not texts.null_count else _codes(encoded)
    unread = np.array([*(date is None for date in iso), False]) & ~unclear
    found = pa.array([*iso, None], pa.string()).take(pa.array(np.where(codes < 0, len(kinds), codes)))
    return found, unread[codes], unclear[codes]


def _orders(texts: list[str]) -> tuple[bool, bool]:
    """Whether some date can only be DD/MM/YYYY, and whether some can only be MM/DD/YYYY."""
    day_first = month_first = False
    for text in texts:
        last = _YEAR_LAST.fullmatch(text)
        if last and last.group(2) != ".":
            day_first |= int(last.group(1)) > 12  # no month
            month_first |= int(last.group(3)) > 12
    return day_first, month_first


def _codes(encoded: pa.DictionaryArray) -> np.ndarray:
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _one_date(text: str) -> str | None:
    first = _YEAR_FIRST.fullmatch(text)
    if first:
        year, separator, month, day = first.groups()
        return _iso(year, month, day) if separator or len(month) == len(day) == 2 else None
    for named in _NAMED:
        matched = named.fullmatch(text)
        if matched:
            name = matched.group("month").lower()
            months = [k for k, month in enumerate(_MONTHS, 1) if month.startswith(name) or name == month[:3] + "t"]
            return _iso(matched.group("year"), str(months[0]), matched.group("day")) if len(months) == 1 else None
    return None


def _iso(year: str, month: str, day: str) -> str | None:
    try:
        date = datetime.date(int(year), int(month), int(day))
    except ValueError:
        return None
    return date.isoformat() if date.year in _YEARS else None
