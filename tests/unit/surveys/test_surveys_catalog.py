"""Reading LAMOST catalogues: names, placeholders, ids, letters, and errors that help."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusals import refused
from starglot.config.surveys.registry import Lamost
from starglot.formats import catalog_file, fits_table
from starglot.formats.catalog import Column
from starglot.formats.columns import read_columns
from starglot.formats.values import MISSING_NUMBERS, Where, numbers_of, whole_numbers_of
from starglot.surveys.lamost import read_catalog
from starglot.surveys.lamost_spectra import spectrum_file


def lamost_rows(**changes: object) -> np.ndarray:
    """Three rows of an AFGK catalogue as a structured array, columns replaced or (None) left out."""
    columns: dict[str, object] = {
        "obsid": np.array([101, 102, 103], np.int32),
        "uid": np.array(["G1", "G2", "G3"], "S12"),
        "gp_id": np.array(["G1", "", "G3"], "S12"),
        "gaia_source_id": np.array(["3342456789012345678", "-9999", ""], "S20"),
        "obsdate": np.array(["2013-11-23"] * 3, "S10"),
        "lmjd": np.array([56619] * 3, np.int32),
        "planid": np.array(["HD001N01 "] * 3, "S12"),
        "spid": np.array([3, 3, 4], np.int16),
        "fiberid": np.array([7, 8, 9], np.int16),
        "ra": np.array([10.0, 11.0, 12.0]),
        "dec": np.array([1.0, 2.0, -3.0]),
        **{f"snr{band}": np.array([5.0, -9999.0, 30.0], np.float32) for band in "ugriz"},
        "class": np.array(["STAR", "STAR", "GALAXY"], "S6"),
        "subclass": np.array(["G5", "Non", "K3"], "S12"),
        "z": np.array([1e-4, -9999.0, 0.1]),
        "rv": np.array([30.0, -9999.0, 1.0]),
        "rv_err": np.array([3.0, -9999.0, 0.0]),
        "teff": np.array([5777.25, -9999.0, 4500.0], np.float32),
        "teff_err": np.array([50.0, -9999.0, -1.0], np.float32),
        "logg": np.array([4.44, np.nan, 2.0]),
        "logg_err": np.array([0.1, 0.1, 0.1]),
        "feh": np.array([0.0, -9999.99, -0.5], np.float32),
        "feh_err": np.array([0.05, 0.05, 0.05]),
    } | changes
    kept = {name: np.asarray(values) for name, values in columns.items() if values is not None}
    table = np.zeros(3, dtype=[(name, values.dtype) for name, values in kept.items()])
    for name, values in kept.items():
        table[name] = values
    return table


def write(path: Path, rows: np.ndarray) -> str:
    """Write a FITS table, gzipped when the name says so."""
    plain = path.with_name(path.name.removesuffix(".gz"))
    fitsio.write(str(plain), rows, clobber=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return str(path)


def test_placeholders_become_null_and_values_keep_their_bits(tmp_path: Path) -> None:
    path = write(tmp_path / "stellar.fits.gz", lamost_rows())
    first, second, third = read_catalog(Lamost(stellar=path, spectra="")).to_pylist()
    assert first["gaia_source_id"] == "3342456789012345678"  # every digit of 64 bits
    assert first["shard"] == "56619-HD001N01" and first["planid"] == "HD001N01"
    assert (first["teff"], first["logg"], first["feh"], first["feh_source"]) == (5777.25, 4.44, 0.0, "feh")
    assert first["feh_err"] == 0.05 and first["class"] == "G"
    for name in ("gaia_source_id", "gp_id", "class", "snr_r", "z", "rv", "rv_err", "teff", "logg", "feh"):
        assert second[name] is None, name
    assert second["logg_err"] is None and second["feh_err"] is None, "an error without its value"
    assert second["feh_source"] is None
    assert third["class"] is None, "a galaxy, whatever its subclass"
    assert third["teff"] == 4500.0 and third["teff_err"] is None and third["rv_err"] is None


def test_m_stars_come_with_their_metallicity_marked(tmp_path: Path) -> None:
    afgk = write(tmp_path / "a.fits", lamost_rows())
    m_rows = lamost_rows(
        obsid=np.array([201, 202, 103]),
        subclass=np.array(["dM2", "gM0", "sdM1"], "S6"),
        feh=None,
        feh_err=None,
        **{
            "class": np.array(["STAR"] * 3, "S4"),
            "M_H": np.array([-0.3, -9999, 0.1]),
            "M_H_ERR": np.array([0.1] * 3),
        },
    )
    table = read_catalog(Lamost(stellar=afgk, mstellar=write(tmp_path / "m.fits", m_rows), spectra=""))
    assert table["obsid"].to_pylist() == [101, 102, 103, 201, 202], "the second entry of 103 is left out"
    cool = {row["obsid"]: row for row in table.to_pylist()}
    assert (cool[201]["feh"], cool[201]["feh_err"], cool[201]["feh_source"]) == (-0.3, 0.1, "m_h")
    assert cool[202]["feh"] is None and cool[202]["feh_source"] is None and cool[202]["class"] == "M"


def test_column_names_in_any_case_and_older_spellings(tmp_path: Path) -> None:
    rows = lamost_rows()
    older = {"ra": "objra", "dec": "objdec"}
    rows.dtype.names = tuple(older.get(name, name).upper() for name in rows.dtype.names)
    table = read_catalog(Lamost(stellar=write(tmp_path / "a.fits", rows), spectra=""))
    assert table["ra"].to_pylist() == [10.0, 11.0, 12.0]


def test_a_missing_column_is_named_with_its_aliases_and_the_nearest_columns(tmp_path: Path) -> None:
    rows = lamost_rows(feh=None, snrr=None, fe_hh=np.zeros(3))
    path = write(tmp_path / "stellar.fits", rows)
    with refused("feh", "snr_r", where=path, allowed=("feh or fe_h", "snrr")) as caught:
        read_catalog(Lamost(stellar=path, spectra=""))
    listed = [word for word in re.findall(r"\w+", str(caught.value.allowed)) if word in rows.dtype.names]
    assert "fe_hh" in listed[:5], "the nearest come first"


def test_bands_without_a_cut_are_not_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "stellar.fits", lamost_rows(snru=None))
    assert read_catalog(Lamost(stellar=path, spectra=""))["snr_u"].null_count == 3


@pytest.mark.slow
def test_the_script_needs_the_bands_that_it_is_told(project: Path, tmp_path: Path) -> None:
    """What the rule runs: a catalogue without S/N in r and i is read when no cut is made there."""
    path = write(tmp_path / "stellar.fits", lamost_rows(snrr=None, snri=None))
    command = [sys.executable, str(project / "workflow/scripts/read_survey.py"), "--survey", "lamost"]
    script = [*command, "--out", str(tmp_path / "o.parquet")]
    for bands, status in ((["g"], 0), ([], 0), (["g", "r"], 1)):
        survey = Lamost(stellar=path, spectra="", snr_min=dict.fromkeys(bands, 5.0))
        told = json.dumps({"survey": survey.of_catalog()})
        done = subprocess.run([*script, "--settings", told], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert ("snr_r" in done.stderr and "snr_i" not in done.stderr.split("allowed")[0]) == bool(status)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    whole = Path(write(tmp_path / "stellar.fits.gz", lamost_rows()))
    cut = tmp_path / "cut.fits.gz"
    cut.write_bytes(whole.read_bytes()[:-200])
    text = tmp_path / "text.fits"
    text.write_text("no FITS file")
    image = tmp_path / "image.fits"
    fitsio.write(str(image), np.zeros((3, 3)))
    for path, named in (
        (tmp_path / "stelar.fits.gz", "stellar.fits.gz"),
        (cut, ()),
        (text, ()),
        (image, "image"),
        (tmp_path, ()),
    ):
        with refused(*([named] if named else []), where=path):
            read_catalog(Lamost(stellar=str(path), spectra=""))


def test_an_unopenable_inflated_copy_names_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "stellar.fits.gz", lamost_rows())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalog_file.shutil, "copyfileobj", full)
    with refused(where=path, todo="TMPDIR"):
        read_catalog(Lamost(stellar=path, spectra=""))


def test_rows_come_in_chunks_and_leave_as_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "stellar.fits", lamost_rows())
    whole = read_catalog(Lamost(stellar=path, spectra=""))
    monkeypatch.setattr(fits_table, "CHUNK_ROWS", 2)
    assert read_catalog(Lamost(stellar=path, spectra="")).equals(whole)


def test_an_empty_catalogue_has_the_same_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "stellar.fits", lamost_rows())
    empty = write(tmp_path / "empty.fits", lamost_rows()[:0])
    table = read_catalog(Lamost(stellar=empty, spectra=""))
    assert len(table) == 0 and table.schema == read_catalog(Lamost(stellar=path, spectra="")).schema


def test_csv_keeps_the_digits_of_ids_and_takes_bars(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Obsid|Gaia|Teff\n5|3342456789012345678|5000.5\n6||null\n")
    columns = [Column("obsid", ("obsid",), "int"), Column("gaia", ("gaia",), "gaia"), Column("teff", ("teff",))]
    assert read_columns(path, columns).to_pydict() == {
        "obsid": [5, 6],
        "gaia": ["3342456789012345678", None],
        "teff": [5000.5, None],
    }
    path.write_text("obsid,gaia,teff\n5,1,hot\n")
    with refused("teff", "'hot'", where=path):
        read_columns(path, columns)


def test_gaia_ids_that_lost_digits_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", lamost_rows(gaia_source_id=np.array([3.3e18, 1.0, 2.0])))
    with refused("gaia_source_id", 3, where=path):
        read_catalog(Lamost(stellar=path, spectra=""))


@given(st.integers(1, 2**63 - 1), st.floats(-1e4, 1e4, width=32))
def test_numbers_survive_the_conversion(number: int, value: float) -> None:
    ids = whole_numbers_of(np.array([number], ">i8"), Where(Path("x"), "a"))
    assert ids.to_pylist() == ([None] if number == -9999 else [number])
    got = numbers_of(np.array([value], ">f4"), Where(Path("x"), "a"))[0].to_pylist()[0]
    assert got == value or (got is None and min(abs(value - m) for m in MISSING_NUMBERS) < 2e-3)


def test_spectrum_file_follows_the_releases() -> None:
    assert spectrum_file("2011-10-24", "B6212", 55859, 6, 3) == "20111024/B6212/spec-55859-B6212_sp06-003.fits"


def test_dates_in_any_form(tmp_path: Path) -> None:
    rows = lamost_rows(obsdate=np.array(["20131123", "2013-11-23T19:05:00", "-"], "S20"))
    table = read_catalog(Lamost(stellar=write(tmp_path / "a.fits", rows), spectra=""))
    assert table["obsdate"].to_pylist() == ["2013-11-23", "2013-11-23", None]
    assert table.schema.field("lmjd").type == pa.int32()
