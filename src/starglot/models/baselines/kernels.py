"""Regression on kernels at landmarks, in closed form: functions that are smooth in the numbers that they read.

With as many landmarks as training rows this is kernel ridge regression; with fewer it is the Nystroem approximation
(Williams and Seeger 2001), in which every training row still counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from starglot.models.baselines.moments import Moments, RidgeFit, discriminant, solve
from starglot.registry import Registry

#: Directions of the kernel matrix below this part of the strongest one are rounding.
_LEAST = 1e-8
#: Rows whose kernels are taken together.
BLOCK = 2048


def rbf(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """exp(-|a - b|^2 / (2 width^2)) of rows (n, k) and (m, k): (n, m)."""
    kernel: np.ndarray = np.exp(-(_distance(a, b) ** 2) / (2 * width**2))
    return kernel


def laplace(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """exp(-|a - b| / width) of rows (n, k) and (m, k): (n, m)."""
    kernel: np.ndarray = np.exp(-_distance(a, b) / width)
    return kernel


Kernel = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
#: Kernels by the name that `kernel` gives in the configuration.
KERNELS: Registry[Kernel] = Registry({"rbf": rbf, "laplace": laplace})


@dataclass(frozen=True)
class Shown:
    """Rows as they are shown, (copies, n, k), and their targets (n, t), NaN where missing."""

    numbers: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Chosen:
    """A fit of a group of targets: width as a factor and in units of the numbers; dual (m, targets) and intercept
    (targets,) on kernels at the landmarks."""

    fit: RidgeFit
    factor: float
    width: float
    dual: np.ndarray
    intercept: np.ndarray


def fit_kernels(
    kernel: Kernel,
    landmark: np.ndarray,
    widths: Sequence[float],
    alphas: Sequence[float],
    groups: list[list[int]],
    train: Shown,
    val: Shown,
    classes: int | None = None,
) -> list[Chosen | None]:
    """For each group of targets the width and penalty that do best on validation rows (by generalised
    cross-validation where those are too few); None without training rows.

    landmark: (m, k); widths: factors of the landmarks' median distance; classes: a group of one-hot columns, of which
    linear discriminants are made.
    """
    best: list[Chosen | None] = [None] * len(groups)
    for factor in widths:
        width = factor * _typical_distance(landmark)
        features = _Features(kernel, landmark, width)
        of_train, of_val = (features.moments(groups, shown) for shown in (train, val))
        for g in range(len(groups)):
            fit = solve(of_train, of_val, g, alphas, standardise=False)
            before = best[g]
            if fit is None or (before is not None and before.fit.score <= fit.score):
                continue
            coefficient, intercept = fit.coefficient, fit.intercept
            if g == classes:
                coefficient, intercept = discriminant(of_train, g, fit)
            best[g] = Chosen(fit, factor, width, features.root @ coefficient, intercept)
    return best


class _Features:
    """Kernels at the landmarks as features whose products are the kernels: ridge on them is kernel ridge."""

    def __init__(self, kernel: Kernel, landmark: np.ndarray, width: float):
        self.kernel, self.landmark, self.width = kernel, landmark, width
        values, vectors = np.linalg.eigh(self.kernel(landmark, landmark, width))
        real = values > _LEAST * values[-1]
        self.root = vectors[:, real] / np.sqrt(values[real])  # of the inverse: (m, features)

    def moments(self, groups: list[list[int]], shown: Shown) -> Moments:
        """Sums over all copies of all rows."""
        sums = Moments(groups, np.zeros(self.root.shape[1]))
        for copy in shown.numbers:
            for first in range(0, len(copy), BLOCK):
                part = slice(first, first + BLOCK)
                sums.add(self.kernel(copy[part], self.landmark, self.width) @ self.root, shown.targets[part])
        return sums


def _typical_distance(landmark: np.ndarray) -> float:
    """Median distance of two landmarks, of some hundred; 1 where they are all alike."""
    some = landmark[:: max(1, len(landmark) // 300)]
    apart = _distance(some, some)[np.triu_indices(len(some), 1)]
    return float(np.median(apart)) or 1.0 if len(apart) else 1.0


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of rows (n, k) and (m, k): float64 (n, m)."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
    distance: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return distance
