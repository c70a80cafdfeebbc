"""A smooth continuum (a running Gaussian mean), and the coarse shape of the flux.

Dividing by the continuum removes flux calibration, extinction and most of the effect of temperature on the shape, so
that weak lines keep their digits; the coarse log flux records what was removed.  The paper does neither.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

#: Least flux (relative to the spectrum's normalisation) that is divided by or taken the logarithm of.
FLOOR = 0.01


def smooth_continuum(flux: ArrayLike, width_fraction: float = 0.06, floor: float = FLOOR) -> NDArray[np.float64]:
    """The running Gaussian mean of each row, at least ``floor``: the continuum itself, to be divided by.

    flux: (n, m), normalised (maximum about 1).  width_fraction: the Gaussian's sigma as a fraction of the m values.
    Returns (n, m).  At the ends the mean is over the values there are (the weights are normalised anew), so a
    constant row is its own continuum.  Each row is filtered alone: its result does not depend on the others.
    Raises ValueError when ``width_fraction`` is not positive.
    """
    if not width_fraction > 0:
        raise ValueError(f"the continuum's width must be positive, not {width_fraction}")
    values = np.asarray(flux, dtype=np.float64)
    sigma = width_fraction * values.shape[1]
    weight = gaussian_filter1d(np.ones(values.shape[1]), sigma, mode="constant")
    smooth = gaussian_filter1d(values, sigma, axis=1, mode="constant")
    continuum: NDArray[np.float64] = np.maximum(smooth / weight, floor)
    return continuum


def divide_by_continuum(flux: ArrayLike, width_fraction: float = 0.06, floor: float = FLOOR) -> NDArray[np.float64]:
    """``flux / smooth_continuum(flux)``: (n, m) in, (n, m) around 1 out."""
    return np.asarray(flux, dtype=np.float64) / smooth_continuum(flux, width_fraction, floor)


def coarse_log_flux(flux: ArrayLike, parts: int = 10, floor: float = FLOOR) -> NDArray[np.float64]:
    """Natural logarithm of the mean flux in ``parts`` nearly equal stretches, floored before the logarithm.

    flux: (n, m) with m >= parts.  Returns (n, parts).  When m is no multiple of ``parts`` the first stretches are
    one value longer.  Raises ValueError when there are fewer values than parts.
    """
    values = np.asarray(flux, dtype=np.float64)
    if not 1 <= parts <= values.shape[1]:
        raise ValueError(f"{values.shape[1]} values cannot be cut into {parts} parts")
    means = [stretch.mean(axis=1) for stretch in np.array_split(values, parts, axis=1)]
    logarithms: NDArray[np.float64] = np.log(np.maximum(np.stack(means, axis=1), floor))
    return logarithms
