"""Small pieces of real survey files (tests/data/README.md), read value by value against other libraries."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table
from scipy.interpolate import CubicSpline

from starglot.config.root import Recipe, Wavelength
from starglot.config.surveys.registry import Apogee
from starglot.formats.counts import Counts
from starglot.labels import ABUNDANCES
from starglot.spectra.clean import clean
from starglot.spectra.degrade import LOG_PIXEL
from starglot.surveys import apogee
from starglot.surveys.sdss_spectrum import read_sdss_spectrum

DATA = Path(__file__).resolve().parents[2] / "data"
F9, WHITE_DWARF = (DATA / "sdss" / f"spec-{name}.fits" for name in ("3128-54776-0008", "0266-51602-0031"))
ALL_STAR = DATA / "apogee" / "allStar-v603-rows.fits"

# ---------------------------------------------------------------- SDSS spectra


def as_fitsio_reads_it(path: Path) -> None:
    raw, table = read_sdss_spectrum(path), fitsio.read(path, ext=1, lower=True)
    assert len(raw.flux) == len(table)
    np.testing.assert_array_equal(raw.flux, table["flux"].astype(float))
    np.testing.assert_array_equal(raw.ivar, table["ivar"].astype(float))
    np.testing.assert_array_equal(raw.mask, table["and_mask"])
    np.testing.assert_allclose(np.log10(raw.wavelength), table["loglam"].astype(float), rtol=1e-12)
    assert np.diff(np.log10(raw.wavelength)) == pytest.approx(LOG_PIXEL, abs=1e-6)


@pytest.mark.parametrize(("path", "pixels"), [(F9, 3815), (WHITE_DWARF, 3842)])
def test_sdss_spectra_are_read_as_fitsio_reads_them(path: Path, pixels: int) -> None:
    as_fitsio_reads_it(path)
    assert len(read_sdss_spectrum(path).flux) == pixels


def test_galaxies_and_an_active_nucleus_of_every_layout_are_read_as_well(real_files: Path) -> None:
    found = [*(real_files / "sdss").glob("spec-*.fits"), *(real_files / "galaxies").rglob("spec-*.fits.gz")]
    assert len(found) >= 44  # legacy, BOSS and eBOSS
    for path in found:
        as_fitsio_reads_it(path)


def test_an_f9_star_is_cleaned_as_by_the_book_and_has_its_lines() -> None:
    recipe = Recipe(wavelength=Wavelength(start=3850, stop=8700))
    raw = read_sdss_spectrum(F9)
    row, masked = clean(raw, recipe)
    table = fitsio.read(F9, ext="COADD")
    good = (table["and_mask"] == 0) & (table["ivar"] > 0)
    assert masked == np.count_nonzero(~good) == 70
    flux = table["flux"][good].astype(float)
    grid = np.arange(3850.0, 8701.0)
    expected = CubicSpline(10 ** table["loglam"][good].astype(float), flux / flux.max())(grid)
    np.testing.assert_allclose(row / 1000, expected, atol=6e-4)
    for rest in (4862.69, 6564.61):  # H beta and H alpha, vacuum
        near = np.abs(grid - rest) < 12
        depth = 1 - expected[near] / np.median(expected[np.abs(grid - rest) < 60])
        at = np.sum(grid[near] * np.clip(depth, 0, None)) / np.sum(np.clip(depth, 0, None))
        assert depth.max() > 0.2 and at == pytest.approx(rest * (1 - 1.42e-4), abs=0.6)


# ---------------------------------------------------------------- APOGEE catalogue


@pytest.fixture(scope="module")
def rows() -> Table:
    return Table.read(ALL_STAR, hdu=1)


def read(counts: Counts | None = None) -> pa.Table:
    return apogee.read_catalog(Apogee(release="dr12", catalog=str(ALL_STAR)), counts)


def test_of_two_rows_of_an_apogee_star_the_one_that_is_no_duplicate_is_taken(rows: Table) -> None:
    counts = Counts()
    stars = {star["apogee_id"]: star for star in read(counts).to_pylist()}
    repeated = 0
    for name in {str(name).strip() for name in rows["APOGEE_ID"]}:
        own = [row for row in rows if str(row["APOGEE_ID"]).strip() == name]
        (best,) = [row for row in own if not row["EXTRATARG"] & 16]
        assert (stars[name]["ra"], stars[name]["dec"]) == (best["RA"], best["DEC"])
        assert stars[name]["snr"] == best["SNR"] and stars[name]["aspcapflag"] == best["ASPCAPFLAG"]
        repeated += len(own) - 1
    assert len(stars) == len(rows) - repeated and repeated == 5


def test_apogee_labels_and_flags_are_those_of_the_file(rows: Table) -> None:
    by_snr = {(str(row["APOGEE_ID"]).strip(), float(row["SNR"])): row for row in rows}
    seen = {"value": 0, "rejected": 0, "flagged": 0}
    for star in read().to_pylist():
        row = by_snr[star["apogee_id"], star["snr"]]
        good = row["ASPCAPFLAG"] == 0 and not (np.asarray(row["PARAMFLAG"]) & 31).any()
        for label in ("teff", "logg"):
            assert star[label] == (float(row[label.upper()]) if good else None)
        iron = float(row["FE_H"]) if good and row["FE_H_FLAG"] == 0 else None
        assert star["feh"] == iron
        for label in ABUNDANCES:
            over_hydrogen = f"{label.apogee.removesuffix('_FE')}_H"
            if over_hydrogen not in rows.colnames:
                assert star[label.name] is None
                continue
            usable = iron is not None and row[f"{over_hydrogen}_FLAG"] == 0 and row[over_hydrogen] > -9000
            seen["value" if usable else "flagged" if good else "rejected"] += 1
            if usable:
                assert star[label.name] == pytest.approx(float(row[over_hydrogen]) - iron, abs=1e-6)
                spread = np.hypot(row[f"{over_hydrogen}_ERR"], row["FE_H_ERR"])
                assert star[f"{label.name}_err"] == pytest.approx(float(spread), rel=1e-6)
            else:
                assert star[label.name] is None
    assert all(count > 20 for count in seen.values()), seen
