"""R2 and the two robust scatters of the transfer papers, of many bootstrap samples of the stars at once.

``weights`` (replicates, n) say how often each of n spectra is drawn; a row of ones is the sample itself.
"""

from __future__ import annotations

import numpy as np

from starglot.evaluation.statistics import resampled_median

#: Tukey's constant (LoRA paper); where residuals are clipped, and how often at most (MLP paper, astropy's default).
_TUKEY, _CLIP, _ROUNDS = 6.0, 3.0, 5
#: Median absolute deviation of a normal distribution, in sigma, as both papers round it.
_MAD = 0.6745


def r2(truth: np.ndarray, error: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(replicates,) 1 - sum of squared errors over that of truths about their mean; NaN where truths are equal."""
    truth = truth - truth.mean()
    n = weights.sum(axis=1)
    about = weights @ truth**2 - (weights @ truth) ** 2 / n
    about = np.where(about > 1e-12 * n, about, np.nan)
    return np.asarray(1 - weights @ error**2 / about)


def biweight(residuals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(replicates,) Tukey's biweight scale of residuals (n,), c = 6 about their median; 0 where half are the same.

    sigma^2 = n sum (y - m)^2 (1 - u^2)^4 / (d (d - 1)), d = sum (1 - u^2)(1 - 5 u^2), u = (y - m) / (6 MAD / 0.6745),
    sums over |u| < 1 (the LoRA paper's appendix).
    """
    ranked, weights = _ranked(residuals, weights)
    distance = ranked - _median(ranked, weights)[:, None]
    mad = _median_of(np.abs(distance), weights)[:, None] / _MAD
    with np.errstate(divide="ignore", invalid="ignore"):
        square = (distance / (_TUKEY * mad)) ** 2
        inside = np.where(square < 1, weights, 0)
        square = np.where(square < 1, square, 0.0)
        d = (inside * (1 - square) * (1 - 5 * square)).sum(axis=1)
        sum_of = (inside * distance**2 * (1 - square) ** 4).sum(axis=1)
        scale = np.sqrt(weights.sum(axis=1) * sum_of / (d * (d - 1)))
    return np.where(mad[:, 0] > 0, scale, 0.0)


def clipped(residuals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(replicates,) standard deviation of residuals (n,) after clipping at 3 sigma about the median, as astropy does:
    up to five times, until nothing more is clipped."""
    ranked, weights = _ranked(residuals, weights)
    held = weights
    for _ in range(_ROUNDS):
        inside = np.abs(ranked - _median(ranked, held)[:, None]) <= _CLIP * _deviation(ranked, held)[:, None]
        fewer = np.where(inside, held, 0)
        if (fewer == held).all():
            break
        held = fewer
    return _deviation(ranked, held)


def _ranked(residuals: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(residuals, kind="stable")
    return residuals[order], weights[:, order]


def _median(ranked: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return resampled_median(np.broadcast_to(ranked, weights.shape), weights)


def _median_of(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(values, axis=1, kind="stable")
    return resampled_median(np.take_along_axis(values, order, axis=1), np.take_along_axis(weights, order, axis=1))


def _deviation(ranked: np.ndarray, weights: np.ndarray) -> np.ndarray:
    n = weights.sum(axis=1)
    centred = ranked - ranked.mean()
    mean = weights @ centred / n
    return np.asarray(np.sqrt(np.maximum(weights @ centred**2 / n - mean**2, 0.0)))
