"""sigma(N) = sigma_inf + A N^-alpha: least squares, for many noisy copies of the points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starglot.evaluation.statistics import interval

#: Exponents that are searched; a law steeper than the last levels off between two sizes.
ALPHA_RANGE: tuple[float, float] = (0.01, 3.0)

#: The grid of exponents, and how often it is laid anew around the best, each time so many times finer.
_GRID, _ROUNDS, _FINE = 120, 4, 24

#: Three points determine the three numbers of the law exactly; four are the fewest that can contradict it.
LEAST_POINTS = 4

#: Points further from the law than this many times their noise contradict it.
_OFF = 3.0

#: Verdicts.
LAW, UNSHOWN, NONE = "power law", "not shown", "no power law"


@dataclass(frozen=True)
class PowerLaw:
    """Fitted laws, arrays (fits,).  Where ``a`` is 0 the points do not fall and alpha means nothing."""

    sigma_inf: np.ndarray
    a: np.ndarray
    alpha: np.ndarray

    def at(self, n: float | np.ndarray) -> np.ndarray:
        """sigma at ``n`` (points,): (fits, points); at one number (fits,)."""
        powers = np.exp(-np.multiply.outer(self.alpha, np.log(np.asarray(n, float))))
        shape = (-1,) + (1,) * (powers.ndim - 1)
        sigma: np.ndarray = self.sigma_inf.reshape(shape) + self.a.reshape(shape) * powers
        return sigma


def fit_power_law(n: np.ndarray, sigma: np.ndarray, error: np.ndarray) -> PowerLaw:
    """The laws with the least sum of ((sigma - law) / error)^2, sigma_inf >= 0, A >= 0, alpha in ALPHA_RANGE.

    n: (points,), at least two different; sigma: (fits, points), a row for each fit; error: (points,), positive.

    For a given alpha the law is linear in sigma_inf and A (separable least squares, Golub & Pereyra 1973), so that
    alpha alone is searched, on a grid: no start value, no local minimum, and thousands of bootstrap copies at once,
    where scipy.optimize.least_squares takes milliseconds for each (benchmarks/scaling.py).
    """
    n, sigma = np.asarray(n, float), np.atleast_2d(np.asarray(sigma, float))
    weight = 1.0 / np.asarray(error, float) ** 2
    middle = np.exp(np.mean(np.log(n)))
    log_n = np.log(n / middle)
    low, high = ALPHA_RANGE
    grid = np.broadcast_to(np.geomspace(low, high, _GRID), (len(sigma), _GRID))
    step = np.full(len(sigma), (high / low) ** (1 / (_GRID - 1)))
    for _ in range(_ROUNDS):
        base, slope, left = _linear(np.exp(-grid[:, :, None] * log_n), sigma, weight)
        rows, best = np.arange(len(sigma)), np.argmin(left, axis=1)
        alpha, base, slope = grid[rows, best], base[rows, best], slope[rows, best]
        around = step[:, None] ** np.linspace(-1, 1, _FINE)
        grid = np.clip(alpha[:, None] * around, low, high)
        step = step ** (2 / (_FINE - 1))
    return PowerLaw(base, slope * np.exp(alpha * np.log(middle)), alpha)


def _linear(power: np.ndarray, sigma: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Non-negative (base, slope) of base + slope x power, and the weighted squares left; (fits, alphas) each.

    power: (fits, alphas, points); sigma: (fits, points); weight: (points,).
    """
    total = weight.sum()
    mean_x = power @ weight / total
    mean_y = (sigma @ weight / total)[:, None]
    across = power - mean_x[:, :, None]
    spread = np.einsum("fap,p->fa", across**2, weight)
    slope = np.einsum("fap,fp,p->fa", across, sigma, weight) / np.maximum(spread, 1e-300)
    slope = np.where(slope > 0, slope, 0.0)
    base = mean_y - slope * mean_x
    through_zero = np.einsum("fap,fp,p->fa", power, sigma, weight) / np.einsum("fap,p->fa", power**2, weight)
    slope = np.where(base < 0, np.maximum(through_zero, 0.0), slope)
    base = np.maximum(base, 0.0)
    left = sigma[:, None, :] - base[:, :, None] - slope[:, :, None] * power
    return base, slope, np.einsum("fap,p->fa", left**2, weight)


def judge_law(
    n: np.ndarray, sigma: np.ndarray, copies: np.ndarray, law: PowerLaw, drawn: PowerLaw, level: float
) -> list[tuple[str, str]]:
    """(verdict, reason) of everything that speaks against a power law.

    n, sigma: (points,), by n; copies: (replicates, points); law: through sigma; drawn: through the copies.
    """
    found = []
    if len(n) < LEAST_POINTS:
        found.append((UNSHOWN, f"{len(n)} points determine the curve exactly and cannot test it"))
    low, high = interval(copies[:, 0] - copies[:, -1], level)
    if high < 0:
        found.append((NONE, "sigma rises with N"))
    elif low <= 0:
        found.append((NONE, "sigma does not fall measurably"))
    else:
        bottom, top = interval(np.where(drawn.a <= 0, 0.0, drawn.alpha), level)
        # At either end of the range that is searched, the end itself is no finding.
        if bottom <= 2 * ALPHA_RANGE[0]:
            found.append((UNSHOWN, "the interval of alpha reaches down to 0"))
        if top >= 0.99 * ALPHA_RANGE[1]:
            found.append((UNSHOWN, f"alpha has no upper end below {ALPHA_RANGE[1]:g}: sigma levels off too soon"))
    if len(n) >= LEAST_POINTS:
        left, noise = sigma - law.at(n)[0], np.std(copies - drawn.at(n), axis=0)
        # Copies without noise would make any rest infinite.
        off = np.abs(left) / np.maximum(noise, 1e-12 + 1e-6 * sigma)
        if off.max() > _OFF:
            worst = int(np.argmax(off))
            found.append(
                (NONE, f"the point at N = {n[worst]:,.0f} is off the curve by {off[worst]:.0f} times its noise")
            )
    return found
