"""Maximum mean discrepancy: how far two clouds of points are from one distribution (Gretton et al. 2012).

The transfer paper compares planes of [alpha/Fe] and [Fe/H] by it (its equation 1).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

#: The papers' kernel exp(-gamma d^2) on labels as they are, in dex.
GAMMA = 2.0
#: Points whose distances are held at a time: a block is 32 MB against as many.
_BLOCK = 2048


def mmd_squared(x: np.ndarray, y: np.ndarray, gamma: float = GAMMA) -> float:
    """Unbiased estimate of MMD^2 of points x (m, k) and y (n, k), kernel exp(-gamma d^2); it may be negative.

    In blocks: memory does not grow with m n.  NaN for fewer than two points on a side.
    """
    m, n = len(x), len(y)
    if min(m, n) < 2:
        return float("nan")
    same_x, same_y = kernel_sums(x, x, gamma).sum() - m, kernel_sums(y, y, gamma).sum() - n
    cross = kernel_sums(x, y, gamma).sum()
    return float(same_x / (m * (m - 1)) + same_y / (n * (n - 1)) - 2 * cross / (m * n))


def mmd_of_pairs(
    x: np.ndarray, y: np.ndarray, star: np.ndarray, level: float, gamma: float = GAMMA
) -> tuple[float, float, float]:
    """MMD^2 of two values x and y (n, k) of the same spectra, and its ``level`` interval over stars.

    star: (n,) codes from 0.  Only pairs of different stars count, in all three sums: what one star has in x and y
    belongs together, and would bring the clouds closer than they are.
    The interval is normal, with the jackknife's error over stars.  A bootstrap would draw points twice, whose
    distance is 0, and so find the clouds too far apart.  NaN for fewer than two stars, no interval for two.
    """
    n, stars = len(x), len(np.unique(star))
    if stars < 2:
        return (float("nan"),) * 3
    rows = kernel_sums(x, x, gamma) + kernel_sums(y, y, gamma) - kernel_sums(x, y, gamma) - kernel_sums(y, x, gamma)
    order = np.argsort(star, kind="stable")
    each = np.split(order, np.flatnonzero(np.diff(star[order])) + 1)
    own = np.array([_own(x[mine], y[mine], gamma) for mine in each])
    of_star, count = np.array([rows[mine].sum() for mine in each]), np.array([len(mine) for mine in each])
    total, pairs = float((of_star - own).sum()), int(n**2 - (count**2).sum())
    if stars == 2:
        return total / pairs, float("nan"), float("nan")
    left = (total - 2 * (of_star - own)) / (pairs - 2 * count * (n - count))
    error = float(np.sqrt((stars - 1) / stars * np.sum((left - left.mean()) ** 2)))
    half = NormalDist().inv_cdf(0.5 + level / 2) * error
    return total / pairs, total / pairs - half, total / pairs + half


def _own(x: np.ndarray, y: np.ndarray, gamma: float) -> float:
    """What pairs of one star's spectra add to the sums."""
    same = kernel_sums(x, x, gamma).sum() + kernel_sums(y, y, gamma).sum()
    return float(same - 2 * kernel_sums(x, y, gamma).sum())


def kernel_sums(x: np.ndarray, y: np.ndarray, gamma: float = GAMMA) -> np.ndarray:
    """(m,) for each of x (m, k) the sum of the kernel over y (n, k)."""
    out = np.zeros(len(x))
    for first in range(0, len(x), _BLOCK):
        some = x[first : first + _BLOCK]
        for start in range(0, len(y), _BLOCK):
            others = y[start : start + _BLOCK]
            distance = ((some[:, None, :] - others[None, :, :]) ** 2).sum(axis=2)
            out[first : first + _BLOCK] += np.exp(-gamma * distance).sum(axis=1)
    return out
