"""Spectra of one view from another one's by simple means: what a network has to beat."""

from __future__ import annotations

import numpy as np

#: Penalties of the ridge regression to choose from, relative to the mean variance of a pixel.
PENALTIES: tuple[float, ...] = tuple(10.0**power for power in range(-8, 3))
#: Stars whose mean spectrum stands for a star that is like them.
NEIGHBOURS = 5
#: Rows of a product of matrices, and queries that are compared with a whole library.
_BLOCK, _QUERIES = 4096, 256


class RidgeTranslation:
    """Each pixel of the other view as a linear function of all pixels; the penalty is chosen on validation pairs."""

    def __init__(self, train: tuple[np.ndarray, np.ndarray], val: tuple[np.ndarray, np.ndarray]):
        """train, val: flux (n, pixels) of the same stars in both views, float."""
        self.mean_from, self.mean_to = train[0].mean(axis=0), train[1].mean(axis=0)
        n, pixels = train[0].shape
        square, cross = np.zeros((pixels, pixels)), np.zeros((pixels, train[1].shape[1]))
        for first in range(0, n, _BLOCK):
            x = np.asarray(train[0][first : first + _BLOCK], float) - self.mean_from
            square += x.T @ x
            cross += x.T @ (np.asarray(train[1][first : first + _BLOCK], float) - self.mean_to)
        scales, directions = np.linalg.eigh(square / n)
        into, scales = directions.T @ (cross / n), np.maximum(scales, 0.0)
        seen = (val[0] - self.mean_from) @ directions
        best = np.inf
        for penalty in PENALTIES:
            damped = into / (scales + penalty * scales.mean())[:, None]
            error = float(np.square(seen @ damped + self.mean_to - val[1]).mean())
            if error < best:
                best, self.penalty, self.weights = error, penalty, directions @ damped

    def __call__(self, flux: np.ndarray) -> np.ndarray:
        """(n, pixels) flux -> (n, pixels) of the other view."""
        return np.asarray((flux - self.mean_from) @ self.weights + self.mean_to)


def neighbours_mean(query: np.ndarray, library: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """Mean flux of the :data:`NEIGHBOURS` in the library that are nearest to each query, by plain distance.

    query: (n, width); library: (m, width), with flux (m, pixels) row by row.
    """
    k, half = min(NEIGHBOURS, len(library)), 0.5 * np.square(library).sum(axis=1)
    out = np.empty((len(query), flux.shape[1]))
    for first in range(0, len(query), _QUERIES):
        block = query[first : first + _QUERIES]
        nearest = np.argpartition(half - block @ library.T, k - 1, axis=1)[:, :k]
        out[first : first + len(block)] = flux[nearest].mean(axis=1)
    return out
