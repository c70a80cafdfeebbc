"""A continuum along the top of a spectrum: the one that the encoder of LAMOST spectra was trained on.

Described with the encoder's papers (SpecCLIP; Zhao et al. 2025) by the name of its program, gaspp; no mask and no
error enters it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Array = NDArray[np.float64]

#: Pixels of the median filter, degree of the polynomial, and how often flux below the fit is lifted onto it.
_FILTER, _DEGREE, _LIFTS = 7, 5, 10
#: Points that a fit needs.
LEAST_POINTS = 4 * (_DEGREE + 1)
#: A first fit with its maximum below this (A) is that of a hot star, whose Balmer lines are bridged.
_HOT = 4500.0
_BALMER = ((4030.0, 4160.0), (4270.0, 4410.0), (4800.0, 4940.0))
#: How far from a window's ends (A) its bridge may stand.
_NEAR = 10.0


def upper_envelope(wavelength: Array, flux: Array) -> Array:
    """The continuum of a spectrum.

    wavelength, flux: (n,), increasing A, n >= LEAST_POINTS.  Returns (n,).

    After a median filter, a polynomial of fifth degree is fitted; then, ten times, flux below the fit is lifted onto
    it and the fit repeated.  Where the first fit is highest below 4500 A, flux around H delta, H gamma and H beta is
    replaced by the line between the maxima near both ends of each window.
    """
    smooth = median_filter(flux, size=_FILTER, mode="nearest")
    middle, half = (wavelength[0] + wavelength[-1]) / 2, (wavelength[-1] - wavelength[0]) / 2
    basis, _ = np.linalg.qr(np.vander((wavelength - middle) / half, _DEGREE + 1))

    def fitted(values: Array) -> Array:
        return np.asarray(basis @ (basis.T @ values))

    fit = fitted(smooth)
    if wavelength[int(np.argmax(fit))] < _HOT:
        smooth = _bridged(wavelength, smooth)
        fit = fitted(smooth)
    for _ in range(_LIFTS):
        smooth = np.maximum(fit, smooth)
        fit = fitted(smooth)
    return fit


def over_envelope(wavelength: Array, flux: Array) -> Array:
    """``flux`` (n,) divided by its upper envelope, and by 1 where that is not positive."""
    continuum = upper_envelope(wavelength, flux)
    return np.asarray(flux / np.where(continuum > 0, continuum, 1.0))


def _bridged(wavelength: Array, flux: Array) -> Array:
    """Flux with a straight line across each window, between the maxima within ``_NEAR`` of its ends."""
    out = flux.copy()
    for window in _BALMER:
        ends = []
        for end in window:
            near = np.flatnonzero(np.abs(wavelength - end) <= _NEAR)
            if len(near):
                ends.append(int(near[np.argmax(flux[near])]))
        if len(ends) == 2 and ends[0] < ends[1]:
            between = slice(ends[0], ends[1] + 1)
            out[between] = np.interp(wavelength[between], wavelength[ends], flux[ends])
    return out
