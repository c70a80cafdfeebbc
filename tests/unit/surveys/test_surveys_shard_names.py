"""What a plate is called in a catalogue never reaches a file's name, a wildcard or a shell as it stands."""

from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from starglot.surveys.shard_names import SHARD_NAME, shard_name, shard_names

PLATES = st.text(max_size=40) | st.text("aA.+-=~%/\0 ", max_size=8) | st.text("xX+", min_size=100, max_size=300)


def test_names_of_real_plates_stay() -> None:
    for planid in ("HD001", "F5902", "GAC_061N46_V1", "EG000023N024031F01", "VB3-1"):
        assert shard_name(56619, planid) == f"56619-{planid}"


def test_what_is_escaped_can_be_read() -> None:
    assert shard_name(60000, "A B") == "60000-A+20B"
    assert shard_name(60000, "é;#") == "60000-+C3+A9+3B+23"


@given(st.lists(PLATES, unique=True, max_size=6))
@example(["A B", "A+20B", "A=20B"])
@example(["x" * 121, "x" * 122, "x" * 121 + " ", "x" * 60 + "++" + "0" * 32])
@example(["ab", "AB", "aB"])
def test_names_are_safe_and_different_plates_have_different_ones(plates: list[str]) -> None:
    names = [shard_name(60000, plate) for plate in plates]
    assert len(set(names)) == len(names)
    for plate, name in zip(plates, names, strict=True):
        assert re.fullmatch(SHARD_NAME, name) or not plate
        assert len(f".{name}.rejected.parquet.sha256.partial") < 255 and name.isascii()


@given(st.lists(st.tuples(st.none() | st.integers(0, 99999), st.none() | PLATES), max_size=8))
def test_a_column_is_named_as_its_rows_are(rows: list[tuple[int | None, str | None]]) -> None:
    days = pa.chunked_array([pa.array([day for day, _ in rows], pa.int64())])
    plates = pa.chunked_array([pa.array([plate for _, plate in rows], pa.string())])
    wanted = [None if day is None or plate is None else shard_name(day, plate) for day, plate in rows]
    assert shard_names(days, plates).to_pylist() == wanted
