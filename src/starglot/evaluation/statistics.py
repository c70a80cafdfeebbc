"""Estimators of a sample of residuals, and their resampling star by star.

Everything here works on plain arrays.  Scatter is quoted twice: the standard deviation (ddof 0), as the
paper's tables do, and the normalised median absolute deviation, which a few bad spectra cannot move.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

#: sigma = NORMAL_MAD x median absolute deviation, for a normal distribution.
NORMAL_MAD: float = 1.0 / NormalDist().inv_cdf(0.75)

#: Elements of the (replicates x rows) arrays held at a time: bounds memory for large test sets.
_BLOCK_ELEMENTS = 2_000_000


def normal_half_width(probability: float) -> float:
    """Half-width, in sigma, of the central interval of a normal distribution that holds ``probability``."""
    return NormalDist().inv_cdf(0.5 + probability / 2.0)


def robust_scatter(residuals: np.ndarray) -> float:
    """Normalised median absolute deviation about the median, in the unit of ``residuals`` (n,); NaN if empty."""
    if len(residuals) == 0:
        return float("nan")
    return float(NORMAL_MAD * np.median(np.abs(residuals - np.median(residuals))))


def star_resamples(n_stars: int, replicates: int, seed: int, n_rows: int) -> Iterator[np.ndarray]:
    """Bootstrap over stars: how often each star is drawn, as int32 blocks of shape (block, n_stars).

    The blocks add up to ``replicates`` rows; ``n_rows`` (the spectra) only sets the block size.  Two sets of the
    same number of stars get the same draws, so models judged on the same stars are resampled alike.
    """
    rng = np.random.default_rng([seed, n_stars])
    block = max(1, min(replicates, _BLOCK_ELEMENTS // max(n_rows, 1)))
    done = 0
    while done < replicates:
        size = min(block, replicates - done)
        drawn = rng.integers(0, n_stars, size=(size, n_stars)) + n_stars * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n_stars).reshape(size, n_stars).astype(np.int32)
        done += size


def resampled_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median of ``values`` (replicates, n), ascending in each row, each taken ``weights`` (replicates, n) times.

    Equal to ``np.median(np.repeat(row, counts))`` of every replicate: the mean of the middle two where even.
    """
    cumulated = np.cumsum(weights, axis=1, dtype=np.int32)
    total = cumulated[:, -1]
    rows = np.arange(len(values))
    low = np.count_nonzero(cumulated <= ((total - 1) // 2)[:, None], axis=1)
    high = np.count_nonzero(cumulated <= (total // 2)[:, None], axis=1)
    medians: np.ndarray = (values[rows, low] + values[rows, high]) / 2.0
    return medians


def resampled_robust_scatter(residuals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """:func:`robust_scatter` of each replicate; ``residuals`` (n,), ``weights`` (replicates, n) counts."""
    order = np.argsort(residuals, kind="stable")
    ranked, weights = residuals[order], weights[:, order]
    middle = resampled_median(np.broadcast_to(ranked, weights.shape), weights)
    deviation = np.abs(ranked - middle[:, None])
    # Falling then rising in each row: a stable sort merges two runs and is nearly linear.
    order = np.argsort(deviation, axis=1, kind="stable")
    return NORMAL_MAD * resampled_median(
        np.take_along_axis(deviation, order, axis=1), np.take_along_axis(weights, order, axis=1)
    )


def interval(replicates: np.ndarray, level: float) -> tuple[float, float]:
    """Central percentile interval of bootstrap ``replicates`` (n,) at ``level`` (0.68, 0.95).

    (NaN, NaN) when more than a tenth of the replicates are undefined: an interval of the rest would be too narrow.
    """
    defined = replicates[np.isfinite(replicates)]
    if len(defined) == 0 or len(defined) < 0.9 * len(replicates):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return float(low), float(high)
