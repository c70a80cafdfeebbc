"""Relative flux to a common scale (paper 2.1, equation 1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from starglot.spectra.rejection import SpectrumRejected

Normalisation = Literal["max", "median", "p99"]


def normalise(flux: NDArray[np.float64], by: Normalisation = "max") -> NDArray[np.float64]:
    """Good pixels' flux (n,) divided by its maximum, median or 99th percentile (linear between ranks).

    The paper divides by the maximum; a cosmic ray that was missed then sets the scale, which the others resist.
    Raises SpectrumRejected ``not_positive`` when the divisor is 0 or negative.
    """
    if by == "max":
        scale = float(flux.max())
    elif by == "median":
        scale = float(np.median(flux))
    else:
        scale = float(np.percentile(flux, 99))
    if not scale > 0:
        raise SpectrumRejected("not_positive", f"the {by} of the good pixels is {scale:g}")
    return flux / scale
