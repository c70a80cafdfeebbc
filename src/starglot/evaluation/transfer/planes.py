"""Planes of [alpha/Fe] and [Fe/H]: how far predictions are from the labels of the same stars, as clouds (MMD)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from starglot.evaluation.presentation import Estimate, Presentation, present
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.evaluation.tables_io import FOLDED
from starglot.evaluation.transfer.mmd import GAMMA, mmd_of_pairs

#: The labels of the plane: across, up.
AXES: tuple[str, str] = ("feh", "alpha_fe")

COLUMNS: tuple[str, ...] = (
    *("task", "strategy", "model", "size", "set", "n", "n_stars", "mmd2", "mmd2_lo", "mmd2_hi", "interval"),
)
NOTES: tuple[str, ...] = (
    "MMD2: unbiased maximum mean discrepancy between predicted and true points ([Fe/H], [alpha/Fe]) of the same "
    f"spectra, kernel exp(-{GAMMA:g} d^2) in dex (Gretton et al. 2012); 0 for clouds of one distribution, by chance "
    "below. Pairs of one star do not count. It says how alike the clouds are, not whether each star is right.",
    "Intervals are normal, by the jackknife over stars.",
)


@dataclass(frozen=True)
class Plane:
    """Points (n, 2) of AXES of the same spectra, predicted and true, and the star (n,) of each as a code."""

    predicted: np.ndarray
    truth: np.ndarray
    star: np.ndarray


def plane_of(path: Path) -> Plane:
    """The spectra of a prediction table that have an answer and a truth in both labels, outside training."""
    table = read_predictions(path)
    both = [judged(table, label) for label in AXES]
    common = np.intersect1d(both[0].obsid, both[1].obsid)
    rows = [each.where(np.isin(each.obsid, common)) for each in both]  # by star and obsid, the same in both
    star = np.unique(rows[0].star.astype(str), return_inverse=True)[1]
    points = [np.stack([getattr(each, name) for each in rows], axis=1) for name in ("value", "truth")]
    return Plane(points[0], points[1], star)


def mmd_table(
    planes: Mapping[tuple[str, str, str, str], Plane], strategies: Mapping[str, str], level: float = 0.95
) -> pd.DataFrame:
    """A row for each plane by (task, model, size, set); strategies: model -> how it goes on, '' for none."""
    records = []
    for (task, model, size, name), plane in planes.items():
        value, low, high = mmd_of_pairs(plane.predicted, plane.truth, plane.star, level)
        records.append(
            {"task": task, "strategy": strategies.get(model, ""), "model": model, "size": size, "set": name}
            | {"n": len(plane.star), "n_stars": len(np.unique(plane.star))}
            | {"mmd2": value, "mmd2_lo": low, "mmd2_hi": high, "interval": level}
        )
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def printed(table: pd.DataFrame) -> Presentation:
    """A table of :func:`mmd_table` as it is printed, with digits enough for the MMD2 of good predictions."""
    shown = present(table, FOLDED)
    rows = [[replace(cell, decimals=5) if isinstance(cell, Estimate) else cell for cell in row] for row in shown.rows]
    return replace(shown, rows=rows)
