"""Partial R2: the skill of a predicted abundance beyond what Teff, log g, [Fe/H] and [Mg/Fe] imply.

[X/Fe] follows the other labels of a star closely: a model that never looks at an element's lines can have a high R2.
The partial R2 is the share of what a quadratic function of the true Teff, log g, [Fe/H] and [Mg/Fe] leaves
unexplained that the prediction explains; minus sign: the prediction goes the wrong way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged, values_of
from starglot.evaluation.skill import without_controls
from starglot.evaluation.statistics import interval, star_resamples
from starglot.labels import ATMOSPHERE_NAMES

#: The abundance among the controls.
ALPHA = "mg_fe"

_KEYS = ("model", "size", "set", "label")
_VALUES = ("partial_r2", "partial_r2_lo", "partial_r2_hi")


def partial_table(
    predictions: Mapping[tuple[str, str, str], Path],
    labels: Sequence[str],
    parameters: pa.Table,
    *,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Partial R2 of each label beyond Teff, log g, [Fe/H] and [Mg/Fe], by (model, size, set), all classes together.

    parameters: obsid, teff, logg, feh of the catalogue.  The interval is a bootstrap over stars of the correlation of
    what the controls leave.  NaN for labels with too few spectra, or with NaN or infinite values.
    """
    records = []
    for (model, size, name), path in predictions.items():
        table = read_predictions(path)
        alpha = judged(table, ALPHA)
        alphas = pa.table({"obsid": alpha.obsid, ALPHA: alpha.truth})
        for label in labels:
            rows = judged(table, label)
            controls = [values_of(parameters, control, rows.obsid) for control in ATMOSPHERE_NAMES]
            if label != ALPHA:
                controls.append(values_of(alphas, ALPHA, rows.obsid))
            found = _partial(rows, np.column_stack(controls), level, replicates, seed)
            records.append({**dict(zip(_KEYS, (model, size, name, label), strict=True)), **found})
    return pd.DataFrame.from_records(records, columns=[*_KEYS, *_VALUES])


def _partial(rows: Judged, controls: np.ndarray, level: float, replicates: int, seed: int) -> dict[str, float]:
    known = np.isfinite(controls).all(axis=1)
    rows, controls = rows.where(known), controls[known]
    left = None if rows.spoilt else without_controls(rows.truth, rows.value, controls)
    if left is None:
        return {}
    stars, star = np.unique(rows.star, return_inverse=True)
    products = (left[0] * left[1], left[0] ** 2, left[1] ** 2)
    sums = np.stack([np.bincount(star, weights=c, minlength=len(stars)) for c in products], axis=1)
    out = {"partial_r2": float(_signed_square(sums.sum(axis=0)))}
    if len(stars) >= LEAST_STARS:
        blocks = star_resamples(len(stars), replicates, seed, len(rows))
        drawn = np.concatenate([_signed_square((counts @ sums).T) for counts in blocks])
        out["partial_r2_lo"], out["partial_r2_hi"] = interval(drawn, level)
    return out


def _signed_square(sums: np.ndarray) -> np.ndarray:
    """Squared correlation with its sign, from the sums of products and squares (3, ...)."""
    squared: np.ndarray = np.sign(sums[0]) * sums[0] ** 2 / (sums[1] * sums[2])
    return squared
