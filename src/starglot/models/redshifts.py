"""What belongs to a redshift beside its value: the second-best one, the gap between the two, and warning bits.

The bits are numbered as Redrock's ZWARN (desihub/redrock), as far as there is a counterpart here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Too little of the wavelength range has good pixels.
LITTLE_COVERAGE = 1 << 1
#: The second-best redshift is nearly as good as the best.
SMALL_DELTA = 1 << 2
#: The best redshift is at an end of the range that was tried.
Z_FITLIMIT = 1 << 5
#: There is no spectrum to answer.
NODATA = 1 << 9
#: The spectrum is poorer than nearly all that the model was trained on.
POORDATA = 1 << 11
#: Bit -> name, as users know it.
WARNINGS: dict[int, str] = {
    LITTLE_COVERAGE: "LITTLE_COVERAGE",
    SMALL_DELTA: "SMALL_DELTA",
    Z_FITLIMIT: "Z_FITLIMIT",
    NODATA: "NODATA",
    POORDATA: "POORDATA",
}

#: A gap of chi2 below is small, and redshifts closer than this (km/s) are one: Redrock's numbers.
LEAST_DELTA, APART = 9.0, 1000.0
#: Minima of chi2 are two where it rises by more in between: a probability falls to half its lower peak.
LEAST_WALL = 2 * float(np.log(2))
#: A probability below is none.
_NEVER = 1e-12
#: Speed of light (km/s).
LIGHT = 299792.458


@dataclass(frozen=True)
class Doubt:
    """What speaks against n redshifts, arrays (n,).

    second: the best redshift at another minimum of chi2, or peak of probability, more than 1,000 km/s from the
    answer, NaN where there is no other; gap: by how much chi2, or -2 ln probability, is greater there than at the
    best (where there is no other: at the worst), NaN where nothing is known; warning: bits, a sum.
    """

    second: np.ndarray
    gap: np.ndarray
    warning: np.ndarray


def doubt_of(trial: np.ndarray, chi2: np.ndarray, z: np.ndarray) -> Doubt:
    """What chi2 (n, m) at ``trial`` redshifts (m,), ascending, says against the answers z (n,).

    Of a probability, -2 ln of it stands for chi2.  As in Redrock, a neighbour of the best redshift is no other one,
    however wide the minimum about the best: chi2 has to rise in between.
    """
    rows, places = np.arange(len(chi2)), np.arange(len(trial))
    best = chi2.argmin(axis=1)
    above = np.where(places >= best[:, None], chi2, -np.inf)
    below = np.where(places <= best[:, None], chi2, -np.inf)
    # The highest chi2 on the way from the best redshift to each.
    wall = np.maximum(np.maximum.accumulate(above, axis=1), np.maximum.accumulate(below[:, ::-1], axis=1)[:, ::-1])
    apart = np.abs(trial[None] - z[:, None]) / (1 + z[:, None]) * LIGHT > APART
    others = np.where(apart & (wall - chi2 > LEAST_WALL), chi2, np.inf)
    second = others.argmin(axis=1)
    known = np.isfinite(others[rows, second])
    gap = np.where(known, others[rows, second], chi2.max(axis=1)) - chi2[rows, best]
    warning = np.where(gap < LEAST_DELTA, SMALL_DELTA, 0)
    warning |= np.where((best == 0) | (best == len(trial) - 1), Z_FITLIMIT, 0)
    return Doubt(np.where(known, trial[second], np.nan), gap, warning)


def doubt_of_chances(trial: np.ndarray, chance: np.ndarray, z: np.ndarray) -> Doubt:
    """:func:`doubt_of` of probabilities (n, m) at ``trial`` redshifts."""
    return doubt_of(trial, -2 * np.log(np.maximum(chance, _NEVER)), z)


def no_doubt(n: int) -> Doubt:
    """Of n answers of which nothing is known: no second redshift, no bits."""
    return Doubt(np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, int))


def warning_names(bits: int) -> list[str]:
    """Names of the bits in a sum of them."""
    return [name for bit, name in WARNINGS.items() if bits & bit]
