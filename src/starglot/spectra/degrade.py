"""Spectra made worse, or other: lower resolution, more noise, a tilted flux scale, another velocity, missing pixels.

What a model meets that was not trained for it.  All act on normalised flux at the wavelengths of a grid; that the
result is normalised, resampled and quantised again is :func:`starglot.spectra.clean.clean`'s part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.constants import speed_of_light
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float64]

#: sigma of a Gaussian line over its full width at half maximum.
SIGMA_OF_FWHM = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
#: Points of the logarithmic grid for each sigma of the broadening, at least: a sampled Gaussian keeps its width.
_PER_SIGMA = 3.0

#: Where S/N is quoted (r band, A), and the survey's own pixel in log10 of the wavelength, per which it is quoted.
R_BAND = (5500.0, 7000.0)
LOG_PIXEL = 1e-4
#: Least flux, relative to that in the r band, whose noise counts: the sky's stays where a star has no light.
_LEAST_FLUX = 0.05


def broaden(flux: Array, wavelength: Array, resolution: float, native: float) -> Array:
    """Flux (n, m) at the resolving power ``resolution`` = lambda / FWHM, from spectra of ``native`` everywhere.

    wavelength: (m,) increasing, A.  Gaussian widths add in quadrature, so the kernel's is what the one lacks of the
    other; it is constant in the logarithm of the wavelength.  Beyond the ends the end values are held.  Noise is
    smoothed with the lines, as rebinning by an instrument of lower resolution would.
    Raises ValueError when ``resolution`` is not below ``native``: sharpening is not possible.
    """
    if not 0 < resolution < native:
        raise ValueError(f"a resolution of {resolution:g} is not below the spectra's own, {native:g}")
    sigma = SIGMA_OF_FWHM * math.sqrt(resolution**-2 - native**-2)
    log = np.log(wavelength)
    step = min(float(np.diff(log).min()), sigma / _PER_SIGMA)
    even = np.linspace(log[0], log[-1], math.ceil((log[-1] - log[0]) / step) + 1)
    smooth = gaussian_filter1d(
        CubicSpline(log, flux, axis=1)(even), sigma / (even[1] - even[0]), axis=1, mode="nearest"
    )
    back: Array = CubicSpline(even, smooth, axis=1)(log)
    return back


def doppler(velocity: float) -> float:
    """What wavelengths are multiplied by for a radial ``velocity`` (km/s, positive: receding), relativistic."""
    beta = 1e3 * velocity / speed_of_light
    return math.sqrt((1.0 + beta) / (1.0 - beta))


def tilt(flux: Array, wavelength: Array, amount: float) -> Array:
    """Flux (n, m) times a line that rises by ``amount`` from the blue end to the red, and is 1 in the middle."""
    at: Array = (wavelength - wavelength[0]) / (wavelength[-1] - wavelength[0])
    return flux * (1.0 + amount * (at - 0.5))


def add_noise(flux: Array, wavelength: Array, snr: Array, target: float, seeds: Sequence[Sequence[int]]) -> Array:
    """Flux (n, m) with photon-like noise, so that the S/N per survey pixel in the r band is ``target``.

    snr: (n,) S/N that each spectrum has (NaN: unknown, taken for no noise); one that has no more than ``target`` is
    left as it is.  seeds: one sequence of integers a spectrum.  Its noise has the same shape at every target.

    The variance goes with the flux and is such that old and new noise together give the target where the flux is the
    median of the r band (of all wavelengths, where the grid misses that band).  Noise is drawn on the survey's own
    pixels and brought to the grid by a cubic spline, as cleaning does with the survey's own.
    """
    had = np.where(np.isfinite(snr) & (snr > 0), snr, np.inf)
    relative = np.sqrt(np.maximum(target**-2.0 - had**-2.0, 0.0))
    inside = (wavelength >= R_BAND[0]) & (wavelength <= R_BAND[1])
    level = np.median(flux[:, inside if inside.any() else slice(None)], axis=1)[:, None]
    scale: Array = np.sqrt(np.maximum(flux, _LEAST_FLUX * level) * level) * relative[:, None]
    pixels = survey_pixels(wavelength[0], wavelength[-1])
    white = np.stack([np.random.default_rng(seed).standard_normal(len(pixels)) for seed in seeds])
    noise: Array = CubicSpline(np.log10(pixels), white, axis=1)(np.log10(wavelength))
    return flux + scale * noise


def survey_pixels(first: float, last: float) -> Array:
    """Wavelengths (A) of pixels of :data:`LOG_PIXEL` (LAMOST's, SDSS's), ``first`` and ``last`` between them."""
    low, high = math.floor(math.log10(first) / LOG_PIXEL), math.ceil(math.log10(last) / LOG_PIXEL)
    pixels: Array = np.power(10.0, LOG_PIXEL * np.arange(low, high + 1))
    return pixels


def outside(wavelength: Array, windows: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """(m,): True where a wavelength is in none of the ``windows`` (A, both ends included)."""
    free = np.ones(len(wavelength), bool)
    for low, high in windows:
        free &= (wavelength < low) | (wavelength > high)
    return free
