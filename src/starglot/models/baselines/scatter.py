"""Uncertainties of a baseline: the scatter of its residuals, by the class that it predicts."""

from __future__ import annotations

import numpy as np

#: Fewest rows of a class from which its own scatter is taken.
MIN_SCATTER = 20


def scatter(residuals: np.ndarray) -> float:
    """Half-width about zero that holds 68.27 % of the residuals: a standard deviation that outliers do not move."""
    return float(np.quantile(np.abs(residuals), 0.6827))


def scatter_by_class(sigma: np.ndarray, residuals: np.ndarray, predicted: np.ndarray) -> None:
    """Overwrite ``sigma`` (labels, groups + 1; the last column: all), in place, where enough rows tell.

    residuals: (n, labels), NaN where unknown; predicted: (n,) code of the group, as the model tells it.
    """
    for j, row in enumerate(sigma):
        known = np.isfinite(residuals[:, j])
        if known.sum() < MIN_SCATTER:
            continue
        row[:] = scatter(residuals[known, j])
        for c in range(len(row) - 1):
            mine = known & (predicted == c)
            if mine.sum() >= MIN_SCATTER:
                row[c] = scatter(residuals[mine, j])


def held_out_scatter(train: np.ndarray, val: np.ndarray, predicted: np.ndarray, groups: int) -> np.ndarray:
    """(labels, groups + 1) scatter on validation rows, or, where those are too few, on all training rows.

    train, val: residuals (n, labels), NaN where unknown; predicted: (n,) code of the validation rows' group.
    """
    sigma = np.full((train.shape[1], groups + 1), np.nan)
    for j, row in enumerate(sigma):
        known = np.isfinite(train[:, j])
        if known.any():
            row[:] = scatter(train[known, j])
    scatter_by_class(sigma, val, predicted)
    return sigma


def rms(residuals: np.ndarray) -> float | None:
    """Root mean square of the finite residuals, None when there is none."""
    known = residuals[np.isfinite(residuals)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else None


def accuracy(predicted: np.ndarray, code: np.ndarray) -> float | None:
    """Fraction of the rows with a class whose class is predicted right, None when there is none."""
    known = code >= 0
    return float((predicted[known] == code[known]).mean()) if known.any() else None
