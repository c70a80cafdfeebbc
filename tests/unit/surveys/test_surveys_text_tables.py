"""Text tables as programs and people write them, against the csv module: every cell, or a refusal with its line."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import holds, refused
from starglot.errors import StarglotError
from starglot.formats import text_lines, text_table
from starglot.formats.catalog import Column
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import read_columns

OBSID, TEFF = Column("obsid", ("obsid",), "int"), Column("teff", ("teff",))
GAIA, NOTE = Column("gaia", ("gaia",), "gaia"), Column("note", ("note",), "text")


def cells(path: Path, *names: str) -> list[list[str]]:
    """All rows of the named columns (all columns without names), as the catalogue hands them out."""
    with open_catalog(path) as catalog:
        wanted = list(names or catalog.names)
        return [
            list(row)
            for chunk in catalog.chunks(wanted)
            for row in zip(*(chunk[name] for name in wanted), strict=True)
        ]


def refusal(path: Path, *columns: Column) -> StarglotError:
    with refused(where=path) as caught:
        read_columns(path, columns or [OBSID, TEFF])
    return caught.value


def line_of(error: StarglotError) -> int:
    found = re.search(r"line (\d+)", str(error.where))
    assert found, error.where
    return int(found[1])


ROWS = [["obsid", "gaia", "teff"], ["1", "3342456789012345678", "5000.5"], ["2", "", "6000"]]
VALUES = {"obsid": [1, 2], "gaia": ["3342456789012345678", None], "teff": [5000.5, 6000.0]}


def written(rows: list[list[str]], separator: str = ",", end: str = "\n", **dialect: int) -> str:
    handle = io.StringIO(newline="")
    csv.writer(handle, delimiter=separator, lineterminator=end, **dialect).writerows(rows)
    return handle.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be with mark", "utf-32"])
def test_separators_ends_of_line_and_codings(tmp_path: Path, separator: str, end: str, coding: str) -> None:
    text = written(ROWS, separator, end)
    path = tmp_path / "stars.csv"
    marked = codecs.BOM_UTF16_BE + text.encode("utf-16-be") if "mark" in coding else text.encode(coding)
    path.write_bytes(marked)
    assert read_columns(path, [OBSID, GAIA, TEFF]).to_pydict() == VALUES


@pytest.mark.parametrize(
    "text",
    [
        "#obsid,gaia,teff\n1,3342456789012345678,5000.5\n2,,6000\n",
        "# obsid, gaia, teff\n1, 3342456789012345678, 5000.5\n2, , 6000\n",
        "# written on Monday, by me, 2013\n# obsid,gaia,teff\n# K, none, K\n1,3342456789012345678,5000.5\n2,,6000\n",
        "# a comment, two, three\n\n#another\nobsid,gaia,teff\n1,3342456789012345678,5000.5\n2,,6000\n",
        "\n\nobsid,gaia,teff\n\n1,3342456789012345678,5000.5\n  \n2,,6000\n" + "\n" * 5000,
        "obsid,gaia,teff,\n1,3342456789012345678,5000.5,\n2,,6000,\n",
        "obsid,gaia,teff\n1,3342456789012345678,5000.5,\n2,,6000,\n",
        "obsid,gaia,teff,\n1,3342456789012345678,5000.5\n2,,6000\n",
        "obsid,gaia,teff\n1,3342456789012345678,5000.5\n,,\n2,,6000\n" + ",,\n" * 100,
        "sep=;\nobsid;gaia;teff\n1;3342456789012345678;5000,5\n2;;6000\n",
        "obsid;gaia;teff\n1;3342456789012345678;5000,5\n2;;6000,0\n",
        '"obsid";"gaia";"teff"\n1;"3342456789012345678";"5000,5"\n2;"";"6000"\n',
        ' "obsid" , "gaia" , "teff"\n1, "3342456789012345678" ,5000.5\n2,"" , 6000\n',
        'obsid,gaia,teff,"a ""b""\nc"\n1,3342456789012345678,5000.5,\n2,,6000,"x,\n\ny"\n',
        "obsid,gaia,teff\n1,3342456789012345678,5000.5\n2,,6000",
        ",obsid,gaia,teff\n0,1,3342456789012345678,5000.5\n1,2,,6000\n",
        "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: obsid, datatype: int64}\n"
        'obsid,gaia,teff\n1,3342456789012345678,5000.5\n2,"",6000\n',
    ],
)
def test_tables_as_they_come(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stars.txt"
    path.write_text(text)
    table = read_columns(path, [OBSID, GAIA, TEFF]).to_pydict()
    assert table["obsid"] == VALUES["obsid"] and table["teff"] == VALUES["teff"]
    assert table["gaia"] == VALUES["gaia"]


def test_bars_without_quoting_keep_lone_quotes(tmp_path: Path) -> None:
    """LAMOST's own tables: pandas reads them with quoting=3, each line for itself."""
    notes = ['"6 arcsec off', 'a 5" slit', 'end"', '"whole"', '"', ""]
    rows = [["obsid", "note", "teff"], *([str(k), notes[k % 6], f"{5000 + k}"] for k in range(300))]
    for order in ((0, 1, 2), (0, 2, 1)):
        path = tmp_path / "dr.csv"
        path.write_text("\n".join("|".join(row[k] for k in order) for row in rows) + "\n")
        table = read_columns(path, [OBSID, NOTE, TEFF])
        assert table["obsid"].to_pylist() == list(range(300))
        assert table["teff"].to_pylist() == [5000.0 + k for k in range(300)]
        told = [*notes[:3], "whole", '"', None]
        assert table["note"].to_pylist() == [told[k % 6] for k in range(300)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (['1,"6 arcsec off,5000', "2,,5001", "3,,5002"], 2),
        (["1,,5000", '2,"6 arcsec off,5001', "3,,5002", '4,"7 arcsec off,5003'], 3),
        (["1,,5000", "2,,5001", '3,,"5002'], 4),
        (["1,,5000", '2,"6 arcsec" off,5001'], 3),
        (["1,,5000", '2,"off,5001', "3,,5002", '4,by 6",5003'], 3),
        (["1,,5000"] * 400 + ['2,"open,5001'] + ["3,,5002"] * 1000, 402),
    ],
)
def test_a_quote_that_would_swallow_rows_is_an_error_with_its_line(
    tmp_path: Path, rows: list[str], line: int
) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("\n".join(["obsid,note,teff", *rows]) + "\n")
    assert line_of(refusal(path)) == line


def test_a_quote_within_a_cell_is_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text('obsid,note,teff\n1,a 5" slit,5000\n2,"say ""x""",5001\n')
    assert cells(path, "note") == [['a 5" slit'], ['say "x"']]


@pytest.mark.parametrize(
    ("rows", "line", "width"),
    [
        (["1,5000", "2"], 3, 1),
        (["1,5000", "2,5000,5", "3,5001", "4,1,2"], 3, 3),
        (["1,5000", "2,5000", '3,"a,b",c'], 4, 3),
        (["1,5000", "", "2,5000", "# the end"], 5, 1),
    ],
)
def test_records_of_another_length_are_an_error_with_the_first_line(
    tmp_path: Path, rows: list[str], line: int, width: int
) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("\n".join(["obsid,teff", *rows]) + "\n")
    error = refusal(path)
    assert line_of(error) == line
    assert [int(number) for number in re.findall(r"\d+", error.what)][:2] == [width, 2]


def test_lines_are_counted_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_table, "blocks", lambda path, size=64: text_lines.blocks(path, size))
    path = tmp_path / "stars.csv"
    path.write_text("# a comment\nobsid,teff,note\n" + '1,5000,"a\nb"\n' * 50 + "2,5000\n" + "3,5000,c\n" * 50)
    assert line_of(refusal(path)) == 103
    path.write_bytes(b"obsid,teff\r\n" + b"1,5000\r\n" * 50 + b"2,50\x0000\r\n")
    assert line_of(refusal(path)) == 52


def test_numbers_with_commas_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("obsid;teff;note\n1;5000,25;3,5 km\n2;-1,5e3;x\n3;,5;2013-11-23\n")
    table = read_columns(path, [TEFF, NOTE]).to_pydict()
    assert table == {"teff": [5000.25, -1500.0, 0.5], "note": ["3,5 km", "x", "2013-11-23"]}
    for rows, number in (
        ("1;5,000\n2;6,000\n", "5,000"),
        ("1;5000,5\n2;5000.5\n", "5000,5"),
        ("1;5000.5\n2;5,000\n", "5,000"),
    ):
        path.write_text("obsid;teff\n" + rows)
        assert holds(refusal(path).what, number)
    path.write_text("obsid;ra;teff\n1;10,123;5000,5\n")
    assert read_columns(path, [Column("ra", ("ra",)), TEFF]).to_pydict() == {"ra": [10.123], "teff": [5000.5]}
    path.write_text("obsid,teff\n1,5000,5\n")
    assert line_of(refusal(path)) == 2


def test_letters_of_another_coding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "stars.csv"
    path.write_bytes("obsid,teff,note\n1,5000,plain\n2,5001,Å\n3,5002,é\n".encode("latin-1") + "4,1,Å\n".encode())
    assert read_columns(path, [OBSID, TEFF])["obsid"].to_pylist() == [1, 2, 3, 4]
    assert not caplog.records, "nobody asked for that column"
    with caplog.at_level(logging.WARNING):
        assert read_columns(path, [NOTE])["note"].to_pylist() == ["plain", "Å", "é", "Å"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and holds(said[0], path, "note", "row 2", 2)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"obsid teff note\n1 5000 x\n", 1),
        (b"# made by topcat\n obsid   teff\n 1   5000\n", 2),
        (b"obsid,teff\n1,5000\n2,50\x00\x00\n", 3),
        (b"obsid,teff\n1,5000\n" + bytes(4096), 3),
        ("obsid,teff\n1,5000\n".encode("utf-16-le"), 1),
    ],
)
def test_what_cannot_be_told_into_cells_is_refused(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "stars.dat"
    path.write_bytes(content)
    assert line_of(refusal(path)) == line


def test_a_text_that_ends_within_a_letter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_bytes("obsid,teff\n1,5000\n".encode("utf-16")[:-1])
    refusal(path)


def test_two_columns_of_one_name_are_refused_only_when_wanted(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("obsid,teff,TEFF,x,x\n1,5000,6000,1,2\n")
    assert read_columns(path, [OBSID])["obsid"].to_pylist() == [1]
    assert holds(refusal(path).what, "teff", "TEFF")


def test_a_header_alone_and_nothing_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "stars.csv"
    for text in ("obsid,teff\n", "#obsid,teff\n", "obsid,teff\n\n,\n"):
        path.write_text(text)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert read_columns(path, [OBSID, TEFF]).num_rows == 0
        assert any(str(path) in record.getMessage() for record in caplog.records)
    path.write_text("\n\n")
    refusal(path)


# ---------------------------------------------------------------- any table that the csv module writes

_TEXT = st.text(st.sampled_from(list("ab1.é\"',;|\t #\n")), max_size=6)
_TABLES = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(_TEXT, min_size=width, max_size=width), max_size=8)
)


@settings(max_examples=150)
@given(
    _TABLES,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([7, 50, 1 << 20]),
)
def test_cells_are_those_that_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    separator: str,
    end: str,
    quoting: int,
    coding: str,
    block: int,
) -> None:
    """Rows that could be taken for others, in part, are refused; what is not refused is exact.

    Between bars that are not quoted in the header, a line with the right number of cells is a row (LAMOST's own
    form), so that no line's end goes into the cells there.
    """
    if separator == "|" and quoting == csv.QUOTE_MINIMAL:
        rows = [[cell.replace("\n", " ") for cell in row] for row in rows]
    rows = [["x" + row[0], *row[1:]] for row in rows]  # no row is blank
    names = [f"n{k}" for k in range(len(rows[0]) if rows else 2)]
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_bytes(written([names, *rows], separator, end, quoting=quoting).encode(coding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_table, "blocks", lambda path, size=block: text_lines.blocks(path, size))
        try:
            found = cells(path)
        except StarglotError as error:
            assert "look like other rows" in error.what or "thousands" in error.what
            assert any("\n" in cell for row in rows for cell in row) or "thousands" in error.what
            return
    decimal = re.compile(r"\s*\d*,\d+\s*")
    expected = [[cell.replace(",", ".") if decimal.fullmatch(cell) else cell for cell in row] for row in rows]
    assert found == expected


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "table.csv"
    path.write_bytes(b"a,b\n" + content)
    try:
        found = cells(path)
    except StarglotError as error:
        assert error.where and error.todo
        return
    assert all(len(row) == 2 for row in found)
    lines = [line for line in re.split(rb"\r\n|\r|\n", content) if line.strip(b" \t,")]
    assert len(found) == len(lines) or b'"' in content, "no row is lost"


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come in blocks: none is larger than it has to be, whatever stands in columns that nobody asks for."""
    path = tmp_path / "wide.csv"
    with open(path, "w", encoding="utf-8") as handle:
        handle.write("obsid,note\n")
        handle.writelines(f"{k},{'x' * 200}\n" for k in range(20_000))
    monkeypatch.setattr(text_table, "blocks", lambda path, size=1 << 16: text_lines.blocks(path, size))
    with open_catalog(path) as catalog:
        sizes = [len(chunk["obsid"]) for chunk in catalog.chunks(["obsid"])]
    assert sum(sizes) == 20_000 and max(sizes) < 2 * (1 << 16) / 200
    assert np.sum(sizes) == read_columns(path, [OBSID]).num_rows
