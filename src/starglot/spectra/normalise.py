"""Relative flux to a common scale (paper 2.1, equation 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starglot.config.recipes import AtWavelength, Statistic
from starglot.spectra.rejection import SpectrumRejected


def normalise(
    wavelength: NDArray[np.float64], flux: NDArray[np.float64], by: Statistic | AtWavelength = "max"
) -> NDArray[np.float64]:
    """Good pixels' flux (n,) divided by one number.

    wavelength: (n,), increasing A; by: the flux's maximum, median or 99th percentile (linear between ranks), or its
    value at a wavelength (linear between pixels).
    The paper divides by the maximum; a cosmic ray that was missed then sets the scale, which the others resist.
    Raises SpectrumRejected ``not_positive`` when the divisor is 0 or negative.
    """
    if isinstance(by, AtWavelength):
        scale = float(np.interp(by.at, wavelength, flux))
        if not scale > 0:
            raise SpectrumRejected("not_positive", f"the flux at {by.at:g} A is {scale:g}")
        return flux / scale
    if by == "max":
        scale = float(flux.max())
    elif by == "median":
        scale = float(np.median(flux))
    else:
        scale = float(np.percentile(flux, 99))
    if not scale > 0:
        raise SpectrumRejected("not_positive", f"the {by} of the good pixels is {scale:g}")
    return flux / scale
