"""R2, and the skill that is left once the spectral class is known.

R2 of Teff flatters over A to M stars: predicting each class's mean already scores about 0.9.  The within-class
skill 1 - SS_res / SS_about_the_class_mean takes that prediction as its zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Rows that each term of a regression on the controls must have.
_ROWS_PER_TERM = 4


def negligible(truth: np.ndarray) -> float:
    """Sum of squares below which ``truth`` (n,) is constant up to rounding, so that no skill is defined."""
    largest = float(np.max(np.abs(truth), initial=0.0))
    return len(truth) * (64.0 * np.finfo(float).eps * largest) ** 2


def r2(truth: np.ndarray, value: np.ndarray) -> float:
    """1 - SS_res / SS_tot of ``value`` against ``truth`` (n,); NaN when the truth is constant or empty."""
    if len(truth) == 0:
        return float("nan")
    total = float(np.sum((truth - truth.mean()) ** 2))
    return 1.0 - float(np.sum((value - truth) ** 2)) / total if total > negligible(truth) else float("nan")


def within_class_skill(truth: np.ndarray, value: np.ndarray, classes: Sequence[str | None] | np.ndarray) -> float:
    """1 - SS_res / SS about the mean truth of each star's class (n,); rows without a class are left out.

    0 is what knowing the class alone is worth, 1 is perfect; NaN when no class has two different truths.
    """
    letters = np.asarray(classes, dtype=object)
    residual = about = floor = 0.0
    for letter in sorted({c for c in letters if c is not None}):
        here = letters == letter
        residual += float(np.sum((value[here] - truth[here]) ** 2))
        about += float(np.sum((truth[here] - truth[here].mean()) ** 2))
        floor += negligible(truth[here])
    return 1.0 - residual / about if about > floor else float("nan")


def without_controls(
    truth: np.ndarray, value: np.ndarray, controls: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """What is left of truth and value (n,) once a quadratic function of ``controls`` (n, k) is taken out of both.

    The correlation of the two is the partial correlation; its square is the share of what the controls leave of the
    truth's variance that the value explains (partial R2).  None when there are too few rows or nothing is left.
    """
    scale = controls.std(axis=0)
    z = (controls - controls.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    k = z.shape[1]
    squares = [z[:, i] * z[:, j] for i in range(k) for j in range(i, k)]
    design = np.column_stack([np.ones(len(z)), z, *squares])
    if len(truth) < _ROWS_PER_TERM * design.shape[1]:
        return None
    both = np.column_stack([truth, value])
    left = both - design @ np.linalg.lstsq(design, both, rcond=None)[0]
    if np.any(np.sum(left**2, axis=0) <= [negligible(truth), negligible(value)]):
        return None
    return left[:, 0], left[:, 1]
