"""Coarser grids and smooth continua."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starglot.spectra.continuum import coarse_log_flux, divide_by_continuum, smooth_continuum
from starglot.spectra.rebin import rebin, rebin_wavelength


@settings(max_examples=50)
@given(rows=st.integers(0, 4), grid=st.integers(1, 60), data=st.data())
def test_rebin_is_the_mean_of_neighbours_and_drops_the_rest(rows: int, grid: int, data: st.DataObject) -> None:
    width = data.draw(st.integers(1, grid))
    flux = np.random.default_rng(grid).integers(-1000, 1000, (rows, grid)).astype(np.int16)
    binned = rebin(flux, width)
    assert binned.shape == (rows, grid // width)
    for row in range(rows):
        for i in range(grid // width):
            assert binned[row, i] == pytest.approx(np.mean(flux[row, i * width : (i + 1) * width].astype(float)))


def test_rebin_refuses_bins_that_do_not_fit() -> None:
    for width in (0, -1, 11):
        with pytest.raises(ValueError, match=rf"{width}\D+10"):
            rebin(np.ones((2, 10)), width)


def test_rebinned_wavelengths_are_bin_centres() -> None:
    np.testing.assert_allclose(rebin_wavelength(np.arange(3800.0, 8701.0), 40)[:2], [3819.5, 3859.5])


def test_continuum_is_the_normalised_gaussian_mean() -> None:
    flux = np.random.default_rng(0).uniform(0.2, 1, (3, 120))
    at = np.arange(120)
    kernel = np.exp(-0.5 * ((at[:, None] - at[None]) / (0.06 * 120)) ** 2)
    truth = flux @ (kernel / kernel.sum(1, keepdims=True)).T
    np.testing.assert_allclose(smooth_continuum(flux, 0.06), truth, rtol=1e-3)


def test_a_line_keeps_its_depth_whatever_the_slope_and_scale() -> None:
    at = np.linspace(-1, 1, 490)
    line = 1 - 0.3 * np.exp(-0.5 * ((at - 0.1) / 0.005) ** 2)
    depths = [1 - divide_by_continuum((scale * (1 + tilt * at) * line)[None])[0].min()
              for scale in (0.2, 1) for tilt in (-0.5, 0, 0.5)]  # fmt: skip
    np.testing.assert_allclose(depths, depths[0], atol=0.01)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    flux = np.random.default_rng(2).uniform(0, 1, (5, 122))
    alone = np.concatenate([divide_by_continuum(row[None]) for row in flux])
    np.testing.assert_array_equal(divide_by_continuum(flux), alone)


def test_flux_below_the_floor_is_finite() -> None:
    flux = np.full((1, 100), -0.5)
    assert np.isfinite(divide_by_continuum(flux)).all()
    np.testing.assert_array_equal(coarse_log_flux(flux), np.full((1, 10), np.log(0.01)))


def test_coarse_flux_is_the_log_mean_of_stretches() -> None:
    flux = np.arange(1.0, 24.0)[None]
    coarse = np.exp(coarse_log_flux(flux, 5))
    np.testing.assert_allclose(coarse, [[3, 8, 13, 17.5, 21.5]])
    with pytest.raises(ValueError, match=r"23\D+24"):
        coarse_log_flux(flux, 24)
