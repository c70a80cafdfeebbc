"""Wavelengths in air: converted as published and as by other software, and only where they are said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from starglot.config.recipes import Recipe, Wavelength
from starglot.inference.single import Single, read_singles
from starglot.spectra.air import air_to_vacuum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.plain_spectrum import read_plain
from starglot.surveys.spectrum_image import read_image

#: A linear axis in air (A).
FIRST, STEP, N = 3540.5, 0.9, 4300
AIR = FIRST + STEP * np.arange(N)
FLUX = 2.0 + np.sin(AIR / 40)


def test_vacuum_wavelengths_are_those_of_the_sdss_line_table() -> None:
    # Air wavelengths, and the vacuum wavelengths that SDSS lists for the same lines.
    pairs = {3933.66: 3934.777, 4340.464: 4341.68, 4861.325: 4862.68, 5889.95: 5891.583, 6562.80: 6564.61}
    assert air_to_vacuum(np.array(list(pairs))) == pytest.approx(list(pairs.values()), abs=0.02)


def test_vacuum_wavelengths_are_those_of_wcslib() -> None:
    """wcslib turns an axis in air (AWAV) into one in vacuum by the formula of FITS paper III (Cox 2000)."""
    for air in (3600.0, 5000.0, 6562.8, 9000.0):
        axis = WCS(naxis=1)
        axis.wcs.ctype, axis.wcs.cunit, axis.wcs.crval, axis.wcs.cdelt = ["AWAV"], ["m"], [air * 1e-10], [1e-10]
        axis.wcs.sptr("WAVE-A2W")
        assert air_to_vacuum(np.array([air]))[0] == pytest.approx(axis.wcs.crval[0] * 1e10, abs=2e-3)


def image(path: Path, flux: np.ndarray = FLUX, **cards: object) -> Path:
    """A FITS image of one axis."""
    unit = fits.PrimaryHDU(flux)
    unit.header.update({"CRVAL1": FIRST, "CDELT1": STEP, "CRPIX1": 1} | cards)
    unit.writeto(path)
    return path


@pytest.mark.parametrize(
    ("cards", "air", "converted"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"CTYPE1": "AWAV"}, False, True),
        ({"CTYPE1": "WAVE"}, True, False),
        ({"AIRORVAC": "air"}, False, True),
        ({"AIRORVAC": "vac"}, True, False),
        ({"VACUUM": False}, False, True),
        ({"CRVAL1": FIRST / 10, "CDELT1": STEP / 10, "CUNIT1": "nm"}, True, True),
        ({"CRVAL1": FIRST * 1e-10, "CDELT1": STEP * 1e-10, "CUNIT1": "m", "CTYPE1": "AWAV"}, False, True),
    ],
)
def test_an_image_is_converted_where_the_file_or_the_user_says_air(
    tmp_path: Path, cards: dict[str, object], air: bool, converted: bool
) -> None:
    found = read_image(image(tmp_path / "star.fits", **cards), air)
    assert found is not None
    np.testing.assert_allclose(found.spectrum.wavelength, air_to_vacuum(AIR) if converted else AIR, rtol=1e-12)
    np.testing.assert_array_equal(found.spectrum.flux, FLUX)
    said = "CTYPE1" in cards or "AIRORVAC" in cards or "VACUUM" in cards
    assert bool(found.done) == converted
    assert any("vacuum" in what for what in found.assumed) == (not converted and not said)


def test_an_image_may_be_linear_in_the_logarithm_and_lack_ends(tmp_path: Path) -> None:
    flux = np.where((np.arange(N) < 12) | (np.arange(N) > 4200), 0.0, FLUX)
    flux[1000] = 0.0  # inside, a zero is a flux
    path = image(tmp_path / "log.fits", flux, CRVAL1=3.55, CDELT1=1e-4)
    found = read_image(path)
    assert found is not None
    np.testing.assert_allclose(found.spectrum.wavelength, 10 ** (3.55 + 1e-4 * np.arange(N)))
    good = np.flatnonzero(found.spectrum.ivar)
    assert good[0] == 12 and good[-1] == 4200 and 1000 in good and len(good) == 4189
    assert any("no data" in what for what in found.assumed)


def test_images_that_are_no_spectrum(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.ones((30, 40))).writeto(tmp_path / "picture.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    assert read_image(tmp_path / "picture.fits") is None and read_image(tmp_path / "empty.fits") is None
    fits.PrimaryHDU(FLUX).writeto(tmp_path / "bare.fits")
    for path in (
        tmp_path / "bare.fits",
        image(tmp_path / "f.fits", CTYPE1="FREQ"),
        image(tmp_path / "s.fits", CUNIT1="s"),
    ):
        with pytest.raises(SpectrumRejected) as raised:
            read_image(path)
        assert raised.value.reason == "layout_unknown"


@pytest.mark.parametrize(
    ("column", "meta", "air", "converted"),
    [
        ("wavelength", {}, False, False),
        ("wavelength", {}, True, True),
        ("wave_air", {}, False, True),
        ("WAVE_VAC", {}, True, False),
        ("wavelength", {"AIRORVAC": "air"}, False, True),
    ],
)
def test_a_table_is_converted_where_it_or_the_user_says_air(
    tmp_path: Path, column: str, meta: dict[str, object], air: bool, converted: bool
) -> None:
    for name in ("star.fits", "star.ecsv"):
        Table({column: AIR * units.AA, "flux": FLUX}, meta=meta).write(tmp_path / name)
        found = read_plain(tmp_path / name, air)
        np.testing.assert_allclose(found.spectrum.wavelength, air_to_vacuum(AIR) if converted else AIR)
        assert bool(found.done) == converted


RECIPE = Recipe(wavelength=Wavelength(start=3800, stop=7400, step=1))


def notes(single: Single) -> str:
    assert single.flux is not None, single.problem
    return "; ".join(single.notes)


def test_arrays_and_files_say_what_was_done(tmp_path: Path) -> None:
    path = image(tmp_path / "star.fits")
    for given in (path, (AIR, FLUX)):
        (bare,), (moved,) = read_singles(given, RECIPE), read_singles([given], RECIPE, air=True)
        assert "converted from air" in notes(moved) and "converted" not in notes(bare)
        assert bare.flux is not None and moved.flux is not None
        # The whole spectrum moves to the red by 1.1 to 2 A: a line is to be looked for a little to the blue.
        shifted = np.interp(np.arange(3800, 7401) - 1.6, np.arange(3800, 7401), bare.flux)
        assert np.std(moved.flux - shifted) < 0.3 * np.std(moved.flux - bare.flux)


def test_the_word_of_a_survey_counts_more_than_the_option(project: Path) -> None:
    path = project / "tests/data/sdss/spec-0266-51602-0031.fits"
    (plain,), (optional,) = read_singles(path, Recipe()), read_singles(path, Recipe(), air=True)
    np.testing.assert_array_equal(plain.flux, optional.flux)
    assert plain.notes == optional.notes


@pytest.mark.real
def test_every_star_of_miles_is_read_as_it_is_shipped(real_files: Path) -> None:
    for path in sorted((real_files / "miles").glob("*.fits.gz"))[::30]:
        (single,) = read_singles(path, RECIPE, air=True)
        assert single.flux is not None, f"{path}: {single.problem}"
        assert single.survey == "table" and "converted from air" in notes(single)
