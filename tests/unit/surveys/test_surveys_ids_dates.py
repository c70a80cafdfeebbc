"""Ids and dates as catalogues write them, against plain Python and astropy."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from starglot.formats.dates import read_dates
from starglot.formats.ids import exact_integer, gaia_ids, own_ids, were_rounded

#: As Gaia gives them: multiples of 128, the sky's pixel in the upper bits.
source_ids = st.integers(2**35, 7 * 10**18).map(lambda n: n // 128 * 128)


def read_gaia(texts: list[str | None], release: str | None = "dr3") -> tuple[list[str | None], dict[str, list[int]]]:
    ids, refused = gaia_ids(pa.array(texts, pa.string()), release)
    return ids.to_pylist(), {reason: np.flatnonzero(rows).tolist() for reason, rows in refused.items() if rows.any()}


@pytest.mark.parametrize(
    "form",
    [
        *("{}", " {} ", "'{}'", '"{}"', "+{}", "000{}", "{}.0", "{}.", "{}e0"),
        *("Gaia DR3 {}", "GaiaDR3 {}", "gaia_dr3_{}", "Gaia EDR3 {}", "EDR3 {}", "source_id: {}"),
    ],
)
@given(number=source_ids.filter(lambda n: n != 999999))
def test_every_digit_of_a_gaia_id_is_kept(form: str, number: int) -> None:
    assert read_gaia([form.format(number)]) == ([str(number)], {})


@pytest.mark.parametrize("text", [None, "0", "-1", "-9223372036854775808", "999999", "9999", "0.0", "-1.0"])
def test_placeholders_are_no_ids_and_nothing_to_tell(text: str | None) -> None:
    assert read_gaia([text]) == ([None], {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *(("1.2345678901234568e+18", "rounded_id"), ("1.23E18", "rounded_id"), ("Gaia DR3 1.2e18", "rounded_id")),
        *(("Gaia DR2 1234", "other_release"), ("DR1 1234", "other_release")),
        *((text, "no_gaia_id") for text in ("HD 1234", "see note", "12ab", "Gaia DR3", "12.5", "9" * 19, "1" * 30)),
    ],
)
def test_what_is_no_id_is_refused_with_a_reason(text: str, reason: str) -> None:
    assert read_gaia(["1234", text]) == (["1234", None], {reason: [1]})


def test_ids_of_dr2_where_dr2_is_meant() -> None:
    assert read_gaia(["Gaia DR2 5", "Gaia EDR3 5"], "dr2") == (["5", None], {"other_release": [1]})


@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 30, 400]))
def test_a_column_that_went_through_floats_is_told_from_one_that_did_not(seed: int, rows: int) -> None:
    ids = np.random.default_rng(seed).integers(2**60 // 128, 7 * 10**18 // 128, rows) * 128
    # With few rows chance can make a good column look rounded, in one case of fifty at most.
    assert rows == 6 or not were_rounded(ids).any()
    rounded = ids.astype(np.float64).astype(np.int64)
    assert were_rounded(rounded).all()


def test_few_ids_that_were_rounded_among_ids_that_were_not() -> None:
    ids = np.random.default_rng(1).integers(2**60 // 128, 7 * 10**18 // 128, 400) * 128
    mixed = ids.copy()
    mixed[20:] = ids[20:].astype(np.float64).astype(np.int64)
    found = were_rounded(mixed)
    whole = np.array([int(float(number)) != number for number in mixed.tolist()])
    assert found[mixed != ids].all(), "all that were damaged"
    assert whole.sum() > 10 and not found[whole].any(), "none that shows that it was not"
    assert not were_rounded(np.arange(1, 100)).any(), "small numbers lose nothing"
    assert not were_rounded(np.repeat(ids[:1], 50)).any(), "visits of one star are one id"


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_whole_numbers_are_exact_or_none(number: int) -> None:
    assert exact_integer(str(number)) == number
    assert exact_integer(f"{number}.000") == number
    assert exact_integer(f"{number:+020d}") == number
    written = f"{number:.6e}"
    exact = exact_integer(written)
    assert exact is None or exact == number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.01001e5", 101001),
        ("1.01e5", None),
        ("101.5", None),
        ("1_0", None),
        ("0x10", None),
        ("", None),
        ("1e400", None),
    ],
)
def test_digits_that_are_not_written_are_not_made_up(text: str, value: int | None) -> None:
    assert exact_integer(text) == value


def test_a_surveys_own_ids() -> None:
    texts = ["G123", "0", "-1", "900", "900.5", "1.2e18", "2M00+00", "00012", None, "10240000-5930000", "+0.0"]
    ids, refused = own_ids(pa.array(texts))
    assert ids.to_pylist() == ["G123", None, None, "900", None, None, "2M00+00", "00012", None, texts[9], None]
    assert np.flatnonzero(refused["rounded_id"]).tolist() == [4, 5]


def dates_of(texts: list[str | None]) -> tuple[list[Any], list[int], list[int]]:
    dates, unread, unclear = read_dates(pa.array(texts, pa.string()))
    return dates.to_pylist(), np.flatnonzero(unread).tolist(), np.flatnonzero(unclear).tolist()


FORMS = ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d 00:00:00", "%d.%m.%Y", "%d-%b-%Y"]
FORMS += ["%B %d, %Y", "%Y-%b-%d"]


@given(
    st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)),
    st.sampled_from([*FORMS, "%B %d, %Y", "%Y-%b-%d"]),
)
def test_dates_in_every_form_that_says_which_number_is_the_month(day: datetime.date, form: str) -> None:
    written = datetime.datetime.combine(day, datetime.time(19, 5)).strftime(form)
    assert dates_of([written, None]) == ([day.isoformat(), None], [], [])
    assert Time(dates_of([written])[0][0]).datetime.date() == day


@given(st.lists(st.dates(datetime.date(2008, 1, 1), datetime.date(2030, 1, 1)), min_size=1), st.booleans())
def test_slashed_dates_are_read_only_where_the_column_tells_their_order(days: list[Any], day_first: bool) -> None:
    form = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    dates, unread, unclear = dates_of([day.strftime(form) for day in days])
    told = any(day.day > 12 for day in days)
    assert unread == []
    assert unclear == ([] if told else [k for k, day in enumerate(days) if day.day != day.month])
    for day, date in zip(days, dates, strict=True):
        assert date in (None, day.isoformat()) and (date is not None or not told)


@pytest.mark.parametrize(
    "text", ["2013-02-30", "55859", "1385164800000000000", "2455859.5", "23/11/13", "soon", "0000-00-00"]
)
def test_what_is_no_date_is_told(text: str) -> None:
    assert dates_of(["2013-11-23", text]) == (["2013-11-23", None], [1], [])
