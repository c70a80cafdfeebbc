"""One spectrum from survey arrays to a stored row: check, mask, normalise, resample, quantise (paper 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starglot.config.recipes import Recipe
from starglot.spectra.mask import good_pixels
from starglot.spectra.normalise import normalise
from starglot.spectra.quantise import quantise
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.resample import require_coverage, resample, wavelength_grid


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
    require_coverage(wavelength, good, grid, recipe)
    row = quantise(resample(wavelength[good], normalise(y, recipe.normalisation), grid, recipe))
    return row, len(good) - len(y)


def _first_fall(wavelength: NDArray[np.float64]) -> str:
    """What is wrong with wavelengths that do not increase, in words."""
    strange = int(np.count_nonzero(~np.isfinite(wavelength)))
    if strange:
        return f"{strange} of {len(wavelength)} wavelengths are not finite"
    at = int(np.argmin(np.diff(wavelength) > 0))
    return f"{wavelength[at]:g} is followed by {wavelength[at + 1]:g} at pixel {at}"
