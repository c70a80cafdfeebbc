"""The statistics of one cell of a residual table: one label of one class of one prediction table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starglot.evaluation.skill import negligible, r2, within_class_skill
from starglot.evaluation.statistics import (
    interval,
    normal_half_width,
    resampled_robust_scatter,
    robust_scatter,
    star_resamples,
)

#: What a cell holds, each with an interval in ``{name}_lo`` and ``{name}_hi``.
STATISTICS: tuple[str, ...] = (
    "mean",
    "std",
    "rmse",
    "mae",
    "robust",
    "r2",
    "skill",
    "coverage_68",
    "coverage_95",
)

#: Central probabilities for which the coverage of sigma is counted.
COVERAGES: dict[str, float] = {"coverage_68": 0.68, "coverage_95": 0.95}

#: With fewer stars, resampling them says nothing about their spread.
LEAST_STARS = 5


@dataclass(frozen=True)
class CellRows:
    """The usable rows of a cell, each array (n,): finite truth and value, sigma NaN where missing.

    residual: as the label takes it; R2, skill and coverage are of the difference, in the unit of truth and sigma.
    """

    truth: np.ndarray
    value: np.ndarray
    sigma: np.ndarray
    star: np.ndarray
    letter: np.ndarray
    residual: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)

    def none(self) -> CellRows:
        """The same without any row."""
        return CellRows(*(array[:0] for array in vars(self).values()))


def cell_statistics(rows: CellRows, level: float, replicates: int, seed: int) -> dict[str, float]:
    """All of :data:`STATISTICS` with their ``level`` bootstrap intervals over stars; NaN where undefined.

    A scatter and a skill need two stars, an interval needs :data:`LEAST_STARS`.
    """
    stars, star = np.unique(rows.star, return_inverse=True)
    out = _point(rows, len(stars))
    wanted = len(stars) >= LEAST_STARS
    drawn = _replicates(rows, star, len(stars), replicates, seed) if wanted else {}
    for name in STATISTICS:
        low, high = (float("nan"), float("nan"))
        if wanted and np.isfinite(out[name]):
            low, high = interval(drawn[name], level)
        out[f"{name}_lo"], out[f"{name}_hi"] = low, high
    return out


def _point(rows: CellRows, n_stars: int) -> dict[str, float]:
    out = dict.fromkeys(STATISTICS, float("nan"))
    if n_stars == 0:
        return out
    residual, error = rows.residual, rows.value - rows.truth
    out["mean"] = float(np.mean(residual))
    out["rmse"] = float(np.sqrt(np.mean(residual**2)))
    out["mae"] = float(np.mean(np.abs(residual)))
    if n_stars > 1:
        out["std"] = float(np.std(residual))
        out["robust"] = robust_scatter(residual)
        out["r2"] = r2(rows.truth, rows.value)
        out["skill"] = within_class_skill(rows.truth, rows.value, rows.letter)
    known = np.isfinite(rows.sigma)
    if known.any():
        for name, probability in COVERAGES.items():
            inside = np.abs(error) <= normal_half_width(probability) * rows.sigma
            out[name] = float(np.mean(inside[known]))
    return out


def _replicates(rows: CellRows, star: np.ndarray, n_stars: int, replicates: int, seed: int) -> dict[str, np.ndarray]:
    """Each statistic in every bootstrap replicate, (replicates,) each.

    All but the robust scatter are functions of sums, so a replicate is a row of draws times the stars' sums.
    Residuals and truths are centred first: sums of squares would lose their digits otherwise.
    """
    residual, error = rows.residual, rows.value - rows.truth
    centre = error.mean()
    shifted, truth = error - centre, rows.truth - rows.truth.mean()
    known = np.isfinite(rows.sigma)
    letters = sorted({letter for letter in rows.letter if letter is not None})
    classed = np.isin(rows.letter, letters)
    columns = [np.ones(len(rows)), shifted, shifted**2, np.abs(error), truth, truth**2, known]
    for probability in COVERAGES.values():
        columns.append(known & (np.abs(error) <= normal_half_width(probability) * rows.sigma))
    columns.append(np.where(classed, error**2, 0.0))
    floor = 0.0
    for letter in letters:
        here = rows.letter == letter
        about = np.where(here, rows.truth - rows.truth[here].mean(), 0.0)
        columns += [here, about, about**2]
        floor += negligible(rows.truth[here])
    # A residual that is not the difference has sums of its own behind the others; R2 stays one of differences.
    differs = not np.array_equal(residual, error)
    if differs:
        columns += [residual - residual.mean(), (residual - residual.mean()) ** 2, np.abs(residual)]
    sums = np.stack([np.bincount(star, weights=c, minlength=n_stars) for c in columns], axis=1)

    blocks: dict[str, list[np.ndarray]] = {name: [] for name in STATISTICS}
    with np.errstate(divide="ignore", invalid="ignore"):
        for counts in star_resamples(n_stars, replicates, seed, len(rows)):
            total = (counts @ sums).T
            n = total[0]
            error_mean, error_variance = _moments(centre, total[1] / n, total[2] / n)
            square = error_mean**2 + error_variance
            mean, variance, absolute = error_mean, error_variance, total[3]
            if differs:
                mean, variance = _moments(residual.mean(), total[-3] / n, total[-2] / n)
                absolute = total[-1]
            about_mean = total[5] - total[4] ** 2 / n
            per_class = total[10 : 10 + 3 * len(letters)].reshape(len(letters), 3, total.shape[1])
            about_class = np.nansum(per_class[:, 2] - per_class[:, 1] ** 2 / per_class[:, 0], axis=0)
            values = {
                "mean": mean,
                "std": np.sqrt(variance),
                "rmse": np.sqrt(mean**2 + variance),
                "mae": absolute / n,
                "robust": resampled_robust_scatter(residual, counts[:, star]),
                "r2": np.where(about_mean > negligible(rows.truth), 1.0 - n * square / about_mean, np.nan),
                "skill": np.where(about_class > floor, 1.0 - total[9] / about_class, np.nan),
                "coverage_68": total[7] / total[6],
                "coverage_95": total[8] / total[6],
            }
            for name, value in values.items():
                blocks[name].append(value)
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def _moments(centre: float, shift: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance in each replicate, of means of what was centred and of its square."""
    return centre + shift, np.maximum(square - shift**2, 0.0)
