"""Masking, normalising, resampling and quantising against numpy, scipy and the written rules."""

from __future__ import annotations

import pickle
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from starglot.config.root import Recipe, Wavelength
from starglot.rejections import REJECTIONS, Rejection
from starglot.spectra.clean import clean
from starglot.spectra.mask import good_pixels
from starglot.spectra.normalise import normalise
from starglot.spectra.quantise import quantise
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.resample import resample, wavelength_grid

SMALL = Wavelength(start=4000, stop=4300, step=1)
PIXELS = 10 ** (3.6 + 1e-4 * np.arange(360))  # 3981-4323 A


def spectrum(seed: int = 0, **changes: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {
        "wavelength": PIXELS,
        "flux": 100 + 10 * rng.normal(size=len(PIXELS)),
        "ivar": np.ones(len(PIXELS)),
        "mask": np.zeros(len(PIXELS), np.int64),
    }
    return arrays | changes


def rejection(recipe: Recipe | None = None, **changes: np.ndarray) -> SpectrumRejected:
    with pytest.raises(SpectrumRejected) as why:
        clean(RawSpectrum(**spectrum(**changes)), recipe or Recipe(wavelength=SMALL))
    assert why.value.detail
    return why.value


def changed(name: str, at: slice | int, value: float) -> dict[str, np.ndarray]:
    array = spectrum()[name].copy()
    array[at] = value
    return {name: array}


# ---------------------------------------------------------------- mask and normalisation


def test_bits_chosen_by_number_mask_and_others_do_not() -> None:
    ormask, ivar = np.array([0, 1, 4, 5, 64, 0, 0, 0]), np.array([1, 1, 1, 1, 1, 0, np.nan, -1.0])
    assert good_pixels(ormask, ivar).tolist() == [True] + 7 * [False]
    assert good_pixels(ormask, ivar, [0]).tolist() == [True, False, True, False, True, False, False, False]
    assert good_pixels(ormask, ivar, [2, 6]).tolist() == [True, True] + 6 * [False]


def test_infinite_inverse_variance_is_masked() -> None:
    assert not good_pixels(np.array([0]), np.array([np.inf])).any()


def test_normalisations() -> None:
    pixels, flux = np.arange(501.0), np.random.default_rng(1).normal(100, 10, 501)
    assert normalise(pixels, flux, "max").max() == 1
    assert np.median(normalise(pixels, flux, "median")) == pytest.approx(1)
    np.testing.assert_array_equal(normalise(pixels, flux, "p99"), flux / np.percentile(flux, 99))
    with pytest.raises(SpectrumRejected) as why:
        normalise(pixels, -flux)
    assert why.value.reason == "not_positive"


# ---------------------------------------------------------------- resampling


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), keep=st.floats(0.3, 1), step=st.sampled_from([0.7, 1.0, 2.5]))
def test_cubic_values_are_those_of_scipy(seed: int, keep: float, step: float) -> None:
    rng = np.random.default_rng(seed)
    good = rng.random(len(PIXELS)) < keep
    x, y = PIXELS[good], rng.normal(1, 0.3, good.sum())
    grid = wavelength_grid(Wavelength(start=4000, stop=4000 + step * 100, step=step))
    ours = resample(x, y, grid, Recipe(max_gap=1000))
    inside = (grid >= x[0]) & (grid <= x[-1])
    np.testing.assert_allclose(ours[inside], CubicSpline(x, y)(grid[inside]), rtol=0, atol=1e-12)


def test_wide_gaps_are_crossed_by_a_line_and_narrow_ones_by_the_spline() -> None:
    good = (np.abs(PIXELS - 4100) > 20) & (np.abs(PIXELS - 4200) > 10)
    x, y = PIXELS[good], 1 + 0.2 * np.sin(PIXELS[good] / 7)
    grid = wavelength_grid(SMALL)
    ours, spline, line = (
        resample(x, y, grid, Recipe(max_gap=30)),
        CubicSpline(x, y)(grid),
        np.interp(grid, x, y),
    )
    wide = (grid > x[x < 4100][-1]) & (grid < x[x > 4100][0])
    np.testing.assert_allclose(ours[wide], line[wide], atol=1e-12)
    np.testing.assert_allclose(ours[~wide], spline[~wide], atol=1e-12)
    assert np.abs(spline - line)[wide].max() > 0.05


def test_end_values_are_held_as_far_as_the_recipe_allows() -> None:
    recipe = Recipe(wavelength=SMALL, max_edge=5)
    edge = changed("ivar", PIXELS < 4004.5, 0)
    row, masked = clean(RawSpectrum(**spectrum(**edge)), recipe)
    assert masked == (PIXELS < 4004.5).sum()
    assert len(set(row[:5].tolist())) == 1
    # where the grid ends beyond the last pixel
    short = {name: array[PIXELS < 4297] for name, array in spectrum().items()}
    row, _ = clean(RawSpectrum(**short), recipe)
    assert len(set(row[-4:].tolist())) == 1
    for beyond in ({"ivar": np.where(PIXELS < 4006, 0, 1.0)}, {"ivar": np.where(PIXELS > 4294, 0, 1.0)}):
        assert rejection(recipe, **beyond).reason == "range_not_covered"


def test_linear_is_numpys() -> None:
    arrays = spectrum()
    row, _ = clean(RawSpectrum(**arrays), Recipe(wavelength=SMALL, interpolation="linear"))
    y = arrays["flux"] / arrays["flux"].max()
    np.testing.assert_array_equal(row, np.rint(1000 * np.interp(wavelength_grid(SMALL), PIXELS, y)))


# ---------------------------------------------------------------- quantising


def test_halves_go_to_the_even_neighbour_and_nothing_wraps() -> None:
    values = np.array([0.0005, 0.0015, 0.0025, -0.0005, -0.0015, 32.0, -32.0])
    assert quantise(values).tolist() == [0, 2, 2, 0, -2, 32000, -32000]
    for beyond in (32.001, -33.0, 1e9, np.nan):
        with pytest.raises(SpectrumRejected) as why:
            quantise(np.array([1.0, beyond]))
        assert why.value.reason == "out_of_int16"


# ---------------------------------------------------------------- whole spectra


@settings(max_examples=40)
@given(scale=st.integers(-20, 20), seed=st.integers(0, 10**6))
def test_the_flux_scale_does_not_matter(scale: int, seed: int) -> None:
    recipe, arrays = Recipe(wavelength=SMALL), spectrum(seed)
    row, _ = clean(RawSpectrum(**arrays), recipe)
    scaled, _ = clean(RawSpectrum(**arrays | {"flux": arrays["flux"] * 2.0**scale}), recipe)
    np.testing.assert_array_equal(row, scaled)


def test_masked_pixels_do_not_matter_whatever_they_hold() -> None:
    recipe, mask = Recipe(wavelength=SMALL), np.zeros(len(PIXELS), np.int64)
    mask[100:104] = 64
    rows = [
        clean(RawSpectrum(**spectrum(mask=mask, **changed("flux", slice(100, 104), value))), recipe)
        for value in (0.0, 1e30, np.nan, -np.inf)
    ]
    for row, masked in rows:
        np.testing.assert_array_equal(row, rows[0][0])
        assert masked == 4


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("lengths_differ", {"flux": np.ones(7)}),
        ("flux_not_finite", changed("flux", 50, np.nan)),
        ("flux_not_finite", changed("flux", 50, np.inf)),
        ("wavelength_not_increasing", {"wavelength": PIXELS[::-1]}),
        ("wavelength_not_increasing", changed("wavelength", 50, np.nan)),
        ("wavelength_not_increasing", changed("wavelength", -1, np.inf)),
        ("wavelength_not_increasing", changed("wavelength", 51, PIXELS[50])),
        ("no_good_pixel", {"ivar": np.zeros(len(PIXELS))}),
        ("no_good_pixel", {name: array[:0] for name, array in spectrum().items()}),
        ("too_few_good_pixels", changed("mask", slice(40, 300), 1)),
        ("range_not_covered", changed("mask", slice(0, 60), 1)),
        ("range_not_covered", {"wavelength": PIXELS + 2000}),
        ("not_positive", {"flux": -np.ones(len(PIXELS))}),
        ("not_positive", {"flux": np.zeros(len(PIXELS))}),
        ("out_of_int16", changed("flux", 100, -1e6)),
    ],
)
def test_each_fault_has_its_reason(reason: str, change: dict[str, np.ndarray]) -> None:
    assert rejection(**change).reason == reason


def test_three_good_pixels_are_too_few_for_a_cubic_whatever_is_asked_for() -> None:
    ivar = np.zeros(len(PIXELS))
    ivar[[20, 200, 337]] = 1
    assert rejection(Recipe(wavelength=SMALL, min_good=0, max_edge=9), ivar=ivar).reason == "too_few_good_pixels"


def test_rejections_are_a_closed_list_and_travel_between_processes() -> None:
    assert set(get_args(Rejection)) == set(REJECTIONS)  # a type checker holds who rejects to these
    why = pickle.loads(pickle.dumps(SpectrumRejected("file_missing", "there")))
    assert (why.reason, why.detail) == ("file_missing", "there") and why.reason in REJECTIONS
