"""What users of redshifts ask of a model: MAE, NMAD, catastrophic failures, beside what a constant would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged
from starglot.evaluation.statistics import interval, robust_scatter, star_resamples

LABEL = "redshift"
#: Errors of c |dz| / (1 + z) beyond are catastrophic (km/s), as SDSS and DESI count them.
CATASTROPHIC = 1000.0
#: Share of the spectra, those with the least sigma, for which failures are counted again.
COMPLETENESS = 0.9
_LIGHT = 299792.458

_STATISTICS = ("mae", "nmad", "catastrophic", "catastrophic_90", "bias")
COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "set", "label", "n", "n_unparsable"),
    *(f"{name}{end}" for name in _STATISTICS for end in ("", "_lo", "_hi")),
    *("constant_mae", "pull_std", "interval"),
)

NOTES: tuple[str, ...] = (
    "MAE: mean |dz|, as the paper has it. Constant's MAE: that of the median of these redshifts, told for every "
    "spectrum; a model that has learnt nothing does as well.",
    "NMAD: 1.4826 median |dz/(1+z) - median|, the width of the core. Bias: median dz/(1+z).",
    f"Catastrophic: share of spectra with c|dz|/(1+z) above {CATASTROPHIC:.0f} km/s; at {100 * COMPLETENESS:.0f} % "
    "completeness: the same among the spectra with the least sigma.",
    "Std of pulls: of dz / sigma; 1 if sigma is right.",
)


def redshift_table(
    predictions: Mapping[tuple[str, str, str, str], Path],
    *,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Figures of merit of every prediction table by (task, model, size, set), each with an interval over galaxies.

    Spectra of training galaxies are left out; those without an answer are counted.
    """
    records = []
    for (task, model, size, name), path in predictions.items():
        table = read_predictions(path)
        rows = judged(table, LABEL)
        record: dict[str, object] = {"task": task, "model": model, "size": size, "set": name, "label": LABEL}
        record |= {"n": len(rows), "n_unparsable": _unanswered(table)}
        if len(rows):
            record |= _estimates(rows, level, replicates, seed)
            known = rows.sigma > 0
            record["constant_mae"] = float(np.abs(rows.truth - np.median(rows.truth)).mean())
            record["pull_std"] = float(np.std(rows.error[known] / rows.sigma[known])) if known.any() else None
            record["interval"] = level
        records.append(record)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _unanswered(table: pa.Table) -> int:
    """Spectra with a truth and no usable answer."""
    mine = pc.and_(pc.equal(table["label"], LABEL), pc.is_valid(table["truth"]))
    return len(table.filter(pc.and_(mine, pc.not_equal(table["status"], "ok"))))


def _estimates(rows: Judged, level: float, replicates: int, seed: int) -> dict[str, float]:
    residual, failed = rows.residual, np.abs(rows.residual) * _LIGHT > CATASTROPHIC
    order = np.argsort(np.where(np.isfinite(rows.sigma), rows.sigma, np.inf), kind="stable")
    sure = np.zeros(len(rows), bool)
    sure[order[: max(1, round(COMPLETENESS * len(rows)))]] = True
    sure &= np.isfinite(rows.sigma)
    of: dict[str, Callable[[np.ndarray], float]] = {
        "mae": lambda at: float(np.abs(rows.error[at]).mean()),
        "nmad": lambda at: robust_scatter(residual[at]),
        "catastrophic": lambda at: float(failed[at].mean()),
        "catastrophic_90": lambda at: float(failed[at][sure[at]].mean()) if sure[at].any() else float("nan"),
        "bias": lambda at: float(np.median(residual[at])),
    }
    stars, star = np.unique(rows.star, return_inverse=True)
    every = np.arange(len(rows))
    out = {name: statistic(every) for name, statistic in of.items()}
    if len(stars) < LEAST_STARS:
        return out
    counts = np.concatenate(list(star_resamples(len(stars), replicates, seed, len(rows))))
    drawn = [np.repeat(every, times[star]) for times in counts]
    for name, statistic in of.items():
        out[f"{name}_lo"], out[f"{name}_hi"] = interval(np.array([statistic(at) for at in drawn]), level)
    return out
