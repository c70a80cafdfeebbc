"""FITS tables of every kind that users have, against astropy: values, which table is read, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from refusals import refused
from starglot.formats import fits_table
from starglot.formats.catalog import Column
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import read_columns

OBSID, TEFF, NAME = Column("obsid", ("obsid",), "int"), Column("teff", ("teff",)), Column("name", ("name",), "text")


def stars(rows: int = 3, **more: Any) -> Table:
    return Table({"obsid": np.arange(rows) + 1, "teff": 5000.0 + np.arange(rows), **more})


def write(path: Path, *tables: Table | fits.BinTableHDU | fits.TableHDU) -> Path:
    units = [fits.table_to_hdu(table) if isinstance(table, Table) else table for table in tables]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path, overwrite=True)
    return path


def column(path: Path, kind: Any = "float", name: str = "x") -> list[Any]:
    return read_columns(path, [Column("x", (name,), kind)])["x"].to_pylist()


def of_columns(*columns: fits.Column) -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns(columns)


@pytest.mark.parametrize(
    ("form", "extra"),
    [
        ("B", {}),
        ("B", {"bzero": -128}),  # signed bytes
        ("I", {}),
        ("I", {"bzero": 2**15}),
        ("J", {}),
        ("J", {"bzero": 2**31}),
        ("K", {}),
    ],
)
def test_whole_numbers_keep_every_digit_and_tnull_is_null(tmp_path: Path, form: str, extra: dict[str, Any]) -> None:
    low, high = {"B": (0, 255), "I": (-(2**15), 2**15 - 1), "J": (-(2**31), 2**31 - 1), "K": (-(2**62), 2**62)}[form]
    stored = np.array([low, low + 1, 7, high - 1, high], {"B": "u1", "I": "i2", "J": "i4", "K": "i8"}[form])
    hdu = of_columns(fits.Column("x", form, array=stored, null=7))
    if extra:  # as a file has it: the stored numbers stay
        hdu.header["TZERO1"] = extra["bzero"]
    path = write(tmp_path / "a.fits", hdu)
    zero = extra.get("bzero", 0)
    expected = [int(value) + zero for value in stored]
    assert column(path, "int") == [*expected[:2], None, *expected[3:]]
    assert [Table.read(path, hdu=1)["x"][k] for k in (0, 1, 3, 4)] == [expected[k] for k in (0, 1, 3, 4)]
    with fits.open(path) as units:
        assert "TNULL1" in units[1].header


def test_unsigned_64_bit_ids_are_exact(tmp_path: Path) -> None:
    ids = [1, 2**53 + 1, 2**63 - 1]
    path = write(tmp_path / "a.fits", Table({"x": np.array(ids, np.uint64)}))
    assert column(path, "int") == ids
    assert column(path, "gaia") == [str(number) for number in ids]
    write(path, Table({"x": np.array([1, 2**63], np.uint64)}))
    with refused(where=(path, "column x")):
        column(path, "int")


def test_scaled_numbers_are_those_of_astropy(tmp_path: Path) -> None:
    hdu = of_columns(fits.Column("x", "I", array=np.array([-200, 0, 12345, -32768], np.int16), null=-32768))
    hdu.header["TSCAL1"], hdu.header["TZERO1"] = 0.25, 4000.5
    path = write(tmp_path / "a.fits", hdu)
    expected = [float(value) for value in Table.read(path, hdu=1)["x"][:3]]
    assert column(path) == [*expected, None] == [3950.5, 4000.5, 7086.75, None]


@pytest.mark.parametrize(("scale", "zero"), [(0.1, 1.0), (1, 0.5), (0.01, 0), (1, 40000), (1, -7), (2, 2**15)])
@pytest.mark.parametrize("form", "BIJKED")
def test_every_kind_of_number_is_scaled(tmp_path: Path, form: str, scale: float, zero: float) -> None:
    stored = np.array(
        [[1, 100], [0, 77], [55, 3]], {"B": "u1", "I": "i2", "J": "i4", "K": "i8", "E": "f4", "D": "f8"}[form]
    )
    null = {"null": 77} if form in "BIJK" else {}
    hdu = of_columns(fits.Column("a", "I", array=[1, 2, 3]), fits.Column("x", f"2{form}", array=stored, **null))
    hdu.header["TSCAL2"], hdu.header["TZERO2"] = scale, zero
    path = write(tmp_path / "a.fits", hdu)
    expected = (stored * np.float64(scale) + zero).tolist()
    if null:
        expected[1][1] = None
    assert column(path, "float_vector") == expected
    if form != "K" or not zero:  # astropy fails at such a TZERO (UnboundLocalError)
        table = Table.read(path, hdu=1)["x"]
        assert np.ma.filled(table[[0, 2]], 0) == pytest.approx(np.array([expected[0], expected[2]], float), rel=1e-7)
    if scale == 1 and form in "BIJK" and float(zero).is_integer():
        assert column(path, "int_vector") == expected


def test_a_shifted_64_bit_number_keeps_every_digit(tmp_path: Path) -> None:
    hdu = of_columns(fits.Column("x", "K", array=np.array([2**60 + 1, -999]), null=-999))
    hdu.header["TZERO1"] = 1000
    assert column(write(tmp_path / "a.fits", hdu), "int") == [2**60 + 1001, None]


def test_a_missing_whole_number_is_missing_as_text_gaia_id_and_in_a_vector(tmp_path: Path) -> None:
    ids = fits.Column("x", "K", array=np.array([5, -999, 10**18]), null=-999)
    vectors = fits.Column("v", "2J", array=np.array([[1, -1], [2, 3], [-1, -1]], np.int32), null=-1)
    path = write(tmp_path / "a.fits", of_columns(ids, vectors))
    assert column(path, "gaia") == ["5", None, "1000000000000000000"]
    assert column(path, "text") == ["5", None, "1000000000000000000"]
    assert column(path, "int_vector", "v") == [[1, None], [2, 3], [None, None]]


def test_logicals_bits_and_vectors_of_one(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.fits",
        of_columns(
            fits.Column("l", "L", array=np.array([True, False, True])),
            fits.Column("b", "10X", array=np.array([[1, 0] * 5, [0] * 10, [1] * 10], bool)),
            fits.Column("one", "1D", dim="(1)", array=np.array([1.5, 2.5, 3.5])),
            fits.Column("two", "1D", dim="(1,1)", array=np.array([1.5, 2.5, 3.5]).reshape(3, 1, 1)),
            fits.Column("text", "2A", dim="(2,1)", array=np.array([["ab"], ["c"], [""]])),
            fits.Column("four", "4E", array=np.arange(12, dtype="f4").reshape(3, 4)),
        ),
    )
    raw = bytearray(path.read_bytes())
    with fits.open(path) as units:
        raw[units[1].fileinfo()["datLoc"]] = 0  # an undefined logical
    path.write_bytes(bytes(raw))
    assert column(path, "int", "l") == [None, 0, 1]
    assert column(path, "int_vector", "b") == [[1, 0] * 5, [0] * 10, [1] * 10]
    assert column(path, "float", "one") == column(path, "float", "two") == [1.5, 2.5, 3.5]
    assert column(path, "text", "text") == ["ab", "c", None]
    assert column(path, "float_vector", "four") == np.arange(12.0).reshape(3, 4).tolist()
    with refused("x", where=path):
        column(path, "float", "four")


def test_strings_padded_with_nuls_and_foreign_letters(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hdu = of_columns(fits.Column("x", "6A", array=np.array(["G5", "F590", "K1", "M2"], "S6")), fits.Column("n", "J"))
    path = write(tmp_path / "a.fits", hdu)
    raw = path.read_bytes()
    raw = (
        raw.replace(b"G5\0\0\0\0", b"G5\0abc")
        .replace(b"F590\0\0", b"F\xe590  ")
        .replace(b"K1\0\0\0\0", "Kåé".encode() + b" ")
    )
    path.write_bytes(raw)
    with caplog.at_level(logging.WARNING):
        assert column(path, "text") == ["G5", "Få90", "Kåé", "M2"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and "row 2" in said[0] and "column x" in said[0]


@pytest.mark.parametrize(("form", "shape"), [("8A", "(4,2)"), ("8A4", "")])
def test_arrays_of_strings_are_no_texts(tmp_path: Path, form: str, shape: str) -> None:
    """By TDIM, and in the older form with the width behind the letter."""
    hdu = of_columns(fits.Column("x", "8A", array=np.array(["AL  MG  ", "C   N   "])))
    if shape:
        hdu.header["TDIM1"] = shape
    path = write(tmp_path / "a.fits", stars(), hdu)
    path.write_bytes(path.read_bytes().replace(b"'8A      '", f"'{form:8s}'".encode()))
    with open_catalog(path, [OBSID]) as catalog:
        assert catalog.element_order("X") == ["AL", "MG", "C", "N"]
    with refused("x", where=path):
        column(path, "text")


def test_kinds_of_column_that_hold_no_single_value_are_refused_only_when_wanted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.fits",
        of_columns(
            fits.Column("obsid", "J", array=np.array([1, 2])),
            fits.Column("x", "PJ()", array=np.array([np.array([1]), np.array([2, 3])], dtype=object)),
            fits.Column("c", "M", array=np.array([1j, 2j])),
            fits.Column("teff", "D", array=np.array([5.0, 6.0])),
        ),
    )
    assert read_columns(path, [OBSID, TEFF]).to_pydict() == {"obsid": [1, 2], "teff": [5.0, 6.0]}
    for name in ("x", "c"):
        with refused(where=(path, f"column {name}")):
            column(path, "int", name)


def test_ascii_tables_are_read_as_astropy_reads_them(tmp_path: Path) -> None:
    hdu = fits.TableHDU.from_columns(
        [
            fits.Column("obsid", "I10", array=np.array([101, -5, 123456789]), ascii=True, null="N/A"),
            fits.Column("teff", "F10.3", array=np.array([5000.125, 1.0, -9999.0]), ascii=True),
            fits.Column("logg", "E15.7", array=np.array([4.5, 1e-3, 2.0]), ascii=True),
            fits.Column("name", "A8", array=np.array(["G5", "a b", ""]), ascii=True),
        ]
    )
    path = write(tmp_path / "a.fits", hdu)
    got = read_columns(path, [OBSID, TEFF, NAME, Column("logg", ("logg",))]).to_pydict()
    table = fits.getdata(path, 1)
    assert got["obsid"] == table["obsid"].tolist() == [101, -5, 123456789]
    assert got["teff"] == [5000.125, 1.0, None] and got["logg"] == table["logg"].tolist() == [4.5, 1e-3, 2.0]
    assert got["name"] == ["G5", "a b", None]
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b" 123456789", b"       N/A").replace(b"4.5000000E+00", b"4.5000000D+00"))
    got = read_columns(path, [OBSID, Column("logg", ("logg",))]).to_pydict()
    assert got == {"obsid": [101, -5, None], "logg": [4.5, 1e-3, 2.0]}
    path.write_bytes(raw.replace(b"  5000.125", b"   5000125"))
    with refused(where=(path, "column teff")):
        column(path, "float", "teff")


def test_the_first_table_with_the_needed_columns_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.fits", Table({"x": [1]}), stars(), Table({"y": [1]}))
    with caplog.at_level(logging.INFO):
        assert read_columns(path, [OBSID, TEFF]).num_rows == 3
    assert any("HDU 2" in record.getMessage() for record in caplog.records)
    with refused("logg", where=(path, "HDU 2")):
        read_columns(path, [OBSID, TEFF, Column("logg", ("logg",))])
    caplog.clear()
    write(path, stars(2), stars(5))
    with caplog.at_level(logging.WARNING):
        assert read_columns(path, [OBSID, TEFF]).num_rows == 2
    assert any("HDU 2" in record.getMessage() for record in caplog.records), "rows that are not read are said"


def test_a_tile_compressed_table_is_refused_with_the_tool_that_undoes_it(tmp_path: Path) -> None:
    packed = fits.table_to_hdu(stars())
    packed.header["ZTABLE"] = True
    with refused(where=tmp_path / "a.fits.fz", todo="funpack"):
        read_columns(write(tmp_path / "a.fits.fz", packed), [OBSID])


@pytest.mark.parametrize("names", [("teff", "TEFF"), ("teff", "teff")])
def test_two_columns_of_one_name_are_refused_when_wanted(tmp_path: Path, names: tuple[str, str]) -> None:
    hdu = of_columns(*(fits.Column(f"c{k}", "D", array=np.array([float(k)])) for k in range(3)))
    for k, name in enumerate(("obsid", *names), 1):
        hdu.header[f"TTYPE{k}"] = name
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    raw = path.read_bytes()
    for k, name in enumerate(("obsid", *names)):
        raw = raw.replace(f"'c{k}      '".encode(), f"'{name:8s}'".encode())
    path.write_bytes(raw)
    assert read_columns(path, [OBSID])["obsid"].to_pylist() == [0]
    with refused("teff", where=path):
        read_columns(path, [OBSID, TEFF])


def test_every_column_is_read_beside_some_without_names_or_with_the_same_ones(tmp_path: Path) -> None:
    hdu = of_columns(
        *(fits.Column(f"c{k}", "D", array=np.array([float(k)])) for k in range(3)),
        fits.Column("name", "4A", array=np.array(["abcd"])),
        fits.Column("obsid", "J", array=np.array([5])),
    )
    path = write(tmp_path / "a.fits", hdu)
    raw = path.read_bytes().replace(b"'c0      '", b"'c2      '").replace(b"TTYPE2 ", b"COMMENT")
    path.write_bytes(raw)
    assert read_columns(path, [NAME, OBSID]).to_pydict() == {"name": ["abcd"], "obsid": [5]}
    assert column(path, "float", "col2") == [1.0]


@pytest.mark.parametrize(
    "name", ["a[1].fits", "a[b.fits", "a(2).fits", "a+1", "!a.fits", "mem:a.fits", "a\udce5.fits"]
)
def test_no_name_of_a_file_has_a_meaning(tmp_path: Path, name: str) -> None:
    write(tmp_path / "plain.fits", stars()).rename(tmp_path / name)
    assert read_columns(tmp_path / name, [OBSID])["obsid"].to_pylist() == [1, 2, 3]


def test_compressed_files_are_read_whatever_their_name(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.fits", stars()).read_bytes()
    for name, content in (
        ("a.fits.gz", gzip.compress(plain)),
        ("b.fits", gzip.compress(plain)),
        ("c.fits.bz2", bz2.compress(plain)),
        ("d.fits.xz", lzma.compress(plain)),
        ("e.fits.gz", gzip.compress(gzip.compress(plain))),  # as a web server packs what is packed
        ("f.csv", plain),
        ("g", plain),
    ):
        (tmp_path / name).write_bytes(content)
        assert read_columns(tmp_path / name, [OBSID])["obsid"].to_pylist() == [1, 2, 3], name


PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
OTHER = {
    "page.fits": (PAGE, "web page"),
    "page.fits.gz": (gzip.compress(PAGE), "web page"),
    "page.csv": (b"\xef\xbb\xbf" + PAGE, "web page"),
    "upper.csv": (b"<HTML><HEAD><TITLE>404</TITLE>", "web page"),
    "error.fits": (b'{"error": "no such file"}', "JSON"),
    "error.csv": (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "XML"),
    "pointer.fits": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "Git LFS"),
    "votable.xml": (b"<?xml version='1.0'?>\n<VOTABLE version='1.4'>", "VOTable"),
    "table.ecsv": (b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na b\n1 2\n", "ECSV"),
    "table.parquet": (b"PAR1\x15\x04", "Parquet"),
    "table.h5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "table.xlsx": (b"PK\x03\x04\x14\x00", "Excel"),
    "table.zip": (b"PK\x03\x04\x14\x00", "zip"),
    "table.fits.zst": (b"\x28\xb5\x2f\xfd\x00", "zstd"),
    "table.fits.Z": (b"\x1f\x9d\x90", "compress"),
    "release.tar": (b"stars.fits".ljust(257, b"\0") + b"ustar\x00", "tar"),
    "empty.fits": (b"", "empty"),
    "empty.fits.gz": (gzip.compress(b""), "empty"),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_is_no_table_is_called_by_its_name(tmp_path: Path, name: str) -> None:
    content, kind = OTHER[name]
    path = tmp_path / name
    path.write_bytes(content)
    with refused(kind, where=path, allowed="FITS"):
        read_columns(path, [OBSID])


def test_what_astropy_can_turn_into_fits_is_turned_by_the_command_in_the_message(tmp_path: Path) -> None:
    """The messages' commands, as they would be run: FILE by FILE."""
    for name, form in (("a.xml", "votable"), ("a.ecsv", "ascii.ecsv")):
        stars().write(tmp_path / name, format=form)
        with refused(where=tmp_path / name) as caught:
            read_columns(tmp_path / name, [OBSID])
        code = str(caught.value.todo).split('python -c "')[1].removesuffix('"')
        out = tmp_path / f"{name}.fits"
        exec(code.replace("FILE", str(tmp_path / name)).replace("stars.fits", str(out)), {})
        assert read_columns(out, [OBSID])["obsid"].to_pylist() == [1, 2, 3]


def test_files_that_are_cut_off_or_damaged(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.fits", stars(2000), stars(5)).read_bytes()
    with fits.open(tmp_path / "a.fits") as units:
        data, header = units[1].fileinfo()["datLoc"], units[1].fileinfo()["hdrLoc"]
    path = tmp_path / "cut.fits"
    for kept in (data + 500, data + 16 * 2000 - 1, header + 700, 2000, 9):
        path.write_bytes(whole[:kept])
        with refused(where=path):
            read_columns(path, [OBSID])
    for packed in (gzip.compress(whole)[:-50], bz2.compress(whole)[:-50], lzma.compress(whole)[:-50]):
        path.write_bytes(packed)
        with refused(where=path):
            read_columns(path, [OBSID])
    path.write_bytes(whole[: data + 16 * 2000])  # only padding is missing
    assert read_columns(path, [OBSID]).num_rows == 2000
    path.write_bytes(whole.replace(b"TFORM1  = 'K       '", b"TFORM1  = '?       '"))
    with refused("TFORM1", where=path):
        read_columns(path, [OBSID])


def test_cards_that_disagree_about_a_row_move_no_value(tmp_path: Path) -> None:
    hdu = of_columns(
        fits.Column("name", "8A", array=np.array(["abcdefgh", "ij"])), fits.Column("l", "L", array=[True] * 2)
    )
    hdu.header["TDIM1"] = "(3,2)"
    path = write(tmp_path / "a.fits", hdu)
    assert column(path, "text", "name") == ["abcdefgh", "ij"] and column(path, "int", "l") == [1, 1]
    path.write_bytes(path.read_bytes().replace(b"NAXIS1  =                    9", b"NAXIS1  =                   10"))
    with refused(9, 10, where=path):
        column(path, "text", "name")


def test_an_image_is_no_table_and_no_rows_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(path)
    with refused("image", where=path):
        read_columns(path, [OBSID])
    with caplog.at_level(logging.WARNING):
        assert read_columns(write(path, stars(0)), [OBSID]).num_rows == 0
    assert any(str(path) in record.getMessage() for record in caplog.records)


def test_chunks_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    table = stars(1000, name=[f"s{k}" for k in range(1000)], v=rng.normal(size=(1000, 3)).astype("f4"))
    path = write(tmp_path / "a.fits", table)
    wanted = [OBSID, TEFF, NAME, Column("v", ("v",), "float_vector")]
    whole = read_columns(path, wanted)
    monkeypatch.setattr(fits_table, "CHUNK_ROWS", 37)
    assert read_columns(path, wanted).equals(whole)
    assert whole["v"].to_pylist() == table["v"].astype(float).tolist()
    with open_catalog(path) as catalog:
        assert [len(chunk["obsid"]) for chunk in catalog.chunks(["obsid"])] == [37] * 27 + [1]
