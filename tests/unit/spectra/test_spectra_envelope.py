"""Continua along the top of a spectrum, and flux at a wavelength: what transfer between surveys is normalised by."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from starglot.config.recipes import Recipe
from starglot.spectra.clean import clean
from starglot.spectra.envelope import over_envelope, upper_envelope
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.resample import wavelength_grid

LAMOST = 10 ** (3.5682 + 1e-4 * np.arange(3900))  # 3700 to 9080 A
DESI = 3600 + 0.8 * np.arange(7781)
BLUE = {"start": 3999.4475, "stop": 5598.8657, "size": 1462, "log": True}


def star(wavelength: np.ndarray, hot: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(continuum, lines) of a made-up star: a smooth slope, and Gaussian lines, Balmer's broad ones if it is hot."""
    x = wavelength / 5000
    continuum = (2 - x if hot else x) + 0.2 * (x - 1) ** 3
    lines = np.ones_like(wavelength)
    for centre in np.arange(3805, 9000, 30.0):
        lines *= 1 - 0.3 * np.exp(-0.5 * ((wavelength - centre) / 2) ** 2)
    for centre in (4101.7, 4340.5, 4861.3) if hot else ():
        lines *= 1 - 0.6 * np.exp(-0.5 * ((wavelength - centre) / 15) ** 2)
    return continuum, lines


def by_polyfit(wavelength: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """The recipe in words of numpy alone, for a star that is not hot."""
    padded = np.pad(flux, 3, mode="edge")
    y = np.array([np.median(padded[i : i + 7]) for i in range(len(flux))])
    x = (wavelength - wavelength.mean()) / 1000
    for _ in range(10):
        y = np.maximum(np.polyval(np.polyfit(x, y, 5), x), y)
    return np.polyval(np.polyfit(x, y, 5), x)


def test_the_envelope_is_the_papers() -> None:
    inside = (LAMOST >= 3700) & (LAMOST <= 5700)
    continuum, lines = star(LAMOST[inside])
    found = upper_envelope(LAMOST[inside], 7 * continuum * lines)
    np.testing.assert_allclose(found, by_polyfit(LAMOST[inside], 7 * continuum * lines), rtol=1e-9)
    assert np.abs(found / (7 * continuum) - 1).max() < 0.02


def test_balmer_lines_of_a_hot_star_do_not_pull_the_continuum_down() -> None:
    inside = (LAMOST >= 3700) & (LAMOST <= 5700)
    continuum, lines = star(LAMOST[inside], hot=True)
    found = upper_envelope(LAMOST[inside], continuum * lines)
    near = np.abs(LAMOST[inside] - 4340.5) < 30
    assert np.abs(found[near] / continuum[near] - 1).max() < 0.02
    plain = by_polyfit(LAMOST[inside], continuum * lines)
    assert np.abs(found[near] / continuum[near] - 1).max() < np.abs(plain[near] / continuum[near] - 1).max()


def row_of(wavelength: np.ndarray, normalisation: dict, broad: float = 0.0) -> np.ndarray:
    continuum, lines = star(wavelength)
    flux = continuum * lines * (1 + broad * (wavelength - 5000) / 5000)
    spectrum = RawSpectrum(wavelength, 3e-17 * flux, np.full(len(flux), 1e36), np.zeros(len(flux), np.int64))
    recipe = Recipe.model_validate({"wavelength": BLUE, "normalisation": normalisation, "interpolation": "linear"})
    return clean(spectrum, recipe)[0] / 1000


def test_surveys_with_other_pixels_and_slopes_agree_where_the_continuum_is_fitted_on_their_own() -> None:
    """The papers' regridding first, then fitting, is off at the blue end."""
    native = {"envelope": [3700, 5700]}
    difference = row_of(LAMOST, native) / row_of(DESI, native, broad=0.3) - 1
    assert np.median(np.abs(difference)) < 0.003
    _, lines = star(wavelength_grid(Recipe.model_validate({"wavelength": BLUE}).wavelength))
    assert np.median(np.abs(row_of(DESI, native) - lines)) < 0.01
    on_grid = row_of(DESI, {"envelope": [3999, 5600], "fitted": "grid"})
    assert not np.array_equal(on_grid, row_of(DESI, native)) and np.median(np.abs(on_grid - lines)) < 0.02


def test_flux_at_a_wavelength_becomes_one() -> None:
    wavelength = 10.0 * np.arange(336, 1021, 2.0)
    flux = np.linspace(3e-16, 1e-16, 343)
    spectrum = RawSpectrum(wavelength, flux, np.full(343, 1e36), np.zeros(343, np.int64))
    grid = {"start": 3360, "stop": 10200, "step": 20}
    recipe = Recipe.model_validate({"wavelength": grid, "normalisation": {"at": 5500}})
    row, _ = clean(spectrum, recipe)
    assert len(row) == 343 and row[107] == 1000
    np.testing.assert_array_equal(row, np.rint(1000 * flux / flux[107]))
    flux[107] = 0.0
    with pytest.raises(SpectrumRejected) as caught:
        clean(spectrum, recipe)
    assert caught.value.reason == "not_positive"


@pytest.mark.parametrize(
    "normalisation", [{"at": 3000.0}, {"envelope": [4100, 5700]}, {"envelope": [3700, 5500]}, {"mean": 1}]
)
def test_what_the_grid_is_divided_by_must_hold_for_all_of_it(normalisation: dict) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({"wavelength": BLUE, "normalisation": normalisation})


def test_a_continuum_that_is_not_positive_divides_by_one() -> None:
    wavelength = np.linspace(3700, 5700, 500)
    flux = -1 - np.linspace(0, 1, 500)
    np.testing.assert_array_equal(over_envelope(wavelength, flux), flux)
