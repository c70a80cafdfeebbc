"""One spectrum from survey arrays to a stored row: check, mask, normalise, resample, quantise (paper 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starglot.config.recipes import Envelope, Recipe
from starglot.spectra.envelope import LEAST_POINTS, over_envelope
from starglot.spectra.mask import good_pixels
from starglot.spectra.normalise import normalise
from starglot.spectra.quantise import quantise
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.resample import own_pixels, require_coverage, resample, wavelength_grid


def clean(spectrum: RawSpectrum, recipe: Recipe) -> tuple[NDArray[np.int16], int]:
    """The stored row of a spectrum and the number of pixels that were masked.

    spectrum: (n,) arrays as read from the file.
    Returns (recipe.wavelength.size,) int16 = round(1000 x normalised flux), and how many of the n pixels were masked.
    Raises SpectrumRejected with the first of the reasons that applies.
    """
    wavelength, flux, ivar, mask = spectrum.wavelength, spectrum.flux, spectrum.ivar, spectrum.mask
    lengths = {"flux": len(flux), "ivar": len(ivar), "wavelength": len(wavelength), "mask": len(mask)}
    if len(set(lengths.values())) > 1:
        raise SpectrumRejected("lengths_differ", ", ".join(f"{name} {n}" for name, n in lengths.items()))
    if not (np.isfinite(wavelength).all() and (np.diff(wavelength) > 0).all()):
        raise SpectrumRejected("wavelength_not_increasing", _first_fall(wavelength))
    good = good_pixels(mask, ivar, recipe.mask_bits)
    grid = wavelength_grid(recipe.wavelength)
    y = flux[good]
    bad = len(y) - int(np.count_nonzero(np.isfinite(y)))
    if bad:
        raise SpectrumRejected("flux_not_finite", f"{bad} of {len(y)} good pixels")
    if recipe.interpolation == "none":
        grid = own_pixels(wavelength, grid)
    require_coverage(wavelength, good, grid, recipe)
    by = recipe.normalisation
    if isinstance(by, Envelope):
        flux_on_grid = _over_envelope(wavelength[good], y, grid, recipe, by)
    else:
        flux_on_grid = resample(wavelength[good], normalise(wavelength[good], y, by), grid, recipe)
    return quantise(flux_on_grid), len(good) - len(y)


def resampling(recipe: Recipe) -> Recipe:
    """The recipe for spectra that are not on the survey's own pixels: by a cubic where it does not resample."""
    return recipe.model_copy(update={"interpolation": "cubic"}) if recipe.interpolation == "none" else recipe


def _over_envelope(
    x: NDArray[np.float64], y: NDArray[np.float64], grid: NDArray[np.float64], recipe: Recipe, by: Envelope
) -> NDArray[np.float64]:
    """Flux over its continuum on the grid; x, y: (n,) good pixels."""
    if by.fitted == "grid":
        return over_envelope(grid, resample(x, y, grid, recipe))
    # Where the grid is the spectrum's own pixels, its ends may lie a hair outside of a range that holds them.
    inside = (x >= min(by.envelope[0], grid[0])) & (x <= max(by.envelope[1], grid[-1]))
    x, y = x[inside], y[inside]
    if len(x) < LEAST_POINTS:
        raise SpectrumRejected(
            "too_few_good_pixels", f"{len(x)} in the range of the continuum, {LEAST_POINTS} needed"
        )
    return resample(x, over_envelope(x, y), grid, recipe)


def _first_fall(wavelength: NDArray[np.float64]) -> str:
    """What is wrong with wavelengths that do not increase, in words."""
    strange = int(np.count_nonzero(~np.isfinite(wavelength)))
    if strange:
        return f"{strange} of {len(wavelength)} wavelengths are not finite"
    at = int(np.argmin(np.diff(wavelength) > 0))
    return f"{wavelength[at]:g} is followed by {wavelength[at + 1]:g} at pixel {at}"
