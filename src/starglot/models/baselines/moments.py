"""Ridge regression from sums: memory does not grow with the number of spectra, and missing labels are left out.

Rows go by once, in blocks, into X'X, X'y and y'y (training and validation apart); weights for every penalty, and
their validation errors, follow from these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Fewest validation rows that choose a penalty; below, generalised cross-validation on the training rows does.
MIN_VALIDATION = 20


class Moments:
    """Sums over rows of features and targets, per group of targets that are known for the same rows.

    groups: target columns of each group; origin: (m,) features near their mean, taken off for accuracy.
    """

    def __init__(self, groups: Sequence[Sequence[int]], origin: np.ndarray):
        m = len(origin)
        self.groups = [np.asarray(group, int) for group in groups]
        self.origin = np.asarray(origin, float)
        self.n = np.zeros(len(self.groups), int)
        self.x = np.zeros((len(self.groups), m))
        self.xx = np.zeros((len(self.groups), m, m))
        self.y = [np.zeros(len(group)) for group in self.groups]
        self.yy = [np.zeros(len(group)) for group in self.groups]
        self.xy = [np.zeros((m, len(group))) for group in self.groups]

    def add(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Take in rows: features (n, m), targets (n, k) with NaN where unknown."""
        features = np.asarray(features, float) - self.origin
        gram = features.T @ features
        for g, columns in enumerate(self.groups):
            y = targets[:, columns]
            known = np.isfinite(y).all(axis=1)
            x, y = (features, y) if known.all() else (features[known], y[known])
            # The cheaper of two ways to the sum over the known rows.
            rest = features[~known]
            self.xx[g] += gram - rest.T @ rest if len(rest) < len(x) else x.T @ x
            self.n[g] += len(x)
            self.x[g] += x.sum(axis=0)
            self.y[g] += y.sum(axis=0)
            self.yy[g] += (y**2).sum(axis=0)
            self.xy[g] += x.T @ y

    def squared_error(self, g: int, coefficient: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        """(targets,) sum of squared residuals of group ``g``; coefficient: (m, targets), on features as they come."""
        start = intercept + self.origin @ coefficient
        quadratic = np.einsum("mk,mk->k", coefficient, self.xx[g] @ coefficient)
        linear = np.einsum("mk,mk->k", coefficient, self.xy[g])
        mean = coefficient.T @ self.x[g]
        error = self.yy[g] - 2 * linear - 2 * start * self.y[g] + quadratic + 2 * start * mean + self.n[g] * start**2
        positive: np.ndarray = np.maximum(error, 0.0)
        return positive


def one_hot(group: np.ndarray, outputs: int) -> np.ndarray:
    """(n, outputs) of groups' places (n,); rows without a group (-1) are NaN."""
    hot: np.ndarray = (group[:, None] == np.arange(outputs)).astype(float)
    hot[group < 0] = np.nan
    return hot


@dataclass(frozen=True)
class RidgeFit:
    """coefficient (m, targets) and intercept (targets,) on features as they come; the penalty, how it was chosen, and
    its score, smaller for a better one; training_sigma (targets,): residual scatter on the training rows, corrected
    for the degrees of freedom."""

    coefficient: np.ndarray
    intercept: np.ndarray
    alpha: float
    chosen_on: str
    score: float
    training_sigma: np.ndarray


def solve(train: Moments, val: Moments, g: int, alphas: Sequence[float], standardise: bool = True) -> RidgeFit | None:
    """Ridge weights for group ``g``, with the penalty of ``alphas`` that does best on the validation rows.

    Features are standardised, unless they have a scale of their own; a penalty means what it means in scikit-learn's
    Ridge.  None without two training rows.
    """
    n = int(train.n[g])
    if n < 2:
        return None
    mean, y_mean = train.x[g] / n, train.y[g] / n
    covariance = train.xx[g] / n - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.where(spread > 1e-9 * (spread.max() or 1.0), spread, np.inf)  # a constant feature gets no weight
    if not standardise:
        scale = np.ones_like(spread)
    values, vectors = np.linalg.eigh(covariance / scale[:, None] / scale[None, :])
    values = np.maximum(values, 0.0)
    projected = vectors.T @ ((train.xy[g] / n - np.outer(mean, y_mean)) / scale[:, None])
    by_validation = val.n[g] >= MIN_VALIDATION
    variance = np.maximum(train.yy[g] / n - y_mean**2, 1e-300)
    best: RidgeFit | None = None
    for alpha in alphas:
        coefficient = (vectors @ (projected / (values + alpha / n)[:, None])) / scale[:, None]
        intercept = y_mean - (mean + train.origin) @ coefficient
        error = train.squared_error(g, coefficient, intercept)
        free = max(n - 1 - float((values / (values + alpha / n)).sum()), 1.0)
        score = val.squared_error(g, coefficient, intercept) if by_validation else error / free**2
        total = float((score / variance).sum())
        if best is None or total < best.score:
            chosen_on = "validation" if by_validation else "generalised cross-validation"
            best = RidgeFit(coefficient, intercept, float(alpha), chosen_on, total, np.sqrt(error / free))
    return best


def discriminant(train: Moments, g: int, fit: RidgeFit) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient (m, classes) and intercept (classes,) of which the largest sum tells the class.

    Group ``g`` holds the classes as columns of 0 and 1, ``fit`` their regression.  Taking its largest value would
    hide the classes in the middle of a sequence behind those at its ends (A to M are one), so linear discriminants
    are formed from the regressed values: the nearest class mean in the metric of the scatter within classes.  A class
    without rows is never told (-inf).
    """
    count = train.y[g]
    present = count > 0
    prior = count / count.sum()
    # Regressed values but for their common start, which cancels in the scatter.
    centre = (train.xy[g] / np.where(present, count, 1.0)).T @ fit.coefficient
    total = fit.coefficient.T @ train.xx[g] @ fit.coefficient / count.sum()
    within = total - (centre * prior[:, None]).T @ centre
    metric = np.linalg.pinv(within, rcond=1e-9, hermitian=True)
    mean = centre + fit.intercept + train.origin @ fit.coefficient
    direction = mean @ metric
    with np.errstate(divide="ignore"):
        start = np.log(prior) - 0.5 * np.einsum("cs,cs->c", direction, mean)
    return fit.coefficient @ direction.T, np.where(present, start + direction @ fit.intercept, -np.inf)
