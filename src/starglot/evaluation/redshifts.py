"""What users of redshifts ask of a model: MAE, NMAD, catastrophic failures, beside what a constant would do.

And how well it knows which of its answers are good: failures among those without a warning, and among the surest
90 %, 80 % ... of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged, values_of
from starglot.evaluation.statistics import interval, robust_scatter, star_resamples
from starglot.models.redshifts import LIGHT

LABEL = "redshift"
#: Errors of c |dz| / (1 + z) beyond are catastrophic (km/s), as SDSS and DESI count them.
CATASTROPHIC = 1000.0
#: Share of the spectra, those with the least sigma, for which failures are counted again.
COMPLETENESS = 0.9
#: Shares of the spectra, the surest first, for which failures are counted in a table and a figure of their own.
LEVELS: tuple[float, ...] = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)

_STATISTICS = ("mae", "nmad", "catastrophic", "catastrophic_90", "bias")
COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "set", "label", "n", "n_unparsable"),
    *(f"{name}{end}" for name in _STATISTICS for end in ("", "_lo", "_hi")),
    *("warned", "catastrophic_unwarned", "constant_mae", "pull_std", "interval"),
)
#: Columns of :func:`completeness_table`.
SURE_COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "set", "label", "order", "completeness", "n"),
    *("catastrophic", "catastrophic_lo", "catastrophic_hi", "mae", "nmad", "interval"),
)

NOTES: tuple[str, ...] = (
    "MAE: mean |dz|, as the paper has it. Constant's MAE: that of the median of these redshifts, told for every "
    "spectrum; a model that has learnt nothing does as well.",
    "NMAD: 1.4826 median |dz/(1+z) - median|, the width of the core. Bias: median dz/(1+z).",
    f"Catastrophic: share of spectra with c|dz|/(1+z) above {CATASTROPHIC:.0f} km/s; at {100 * COMPLETENESS:.0f} % "
    "completeness: the same among the spectra with the least sigma.",
    "Warned: share of answers with a warning bit (SMALL_DELTA, Z_FITLIMIT), of models that have a distribution of z; "
    "beside it the catastrophic share of the others.",
    "Std of pulls: of dz / sigma; 1 if sigma is right.",
)
SURE_NOTES: tuple[str, ...] = (
    f"Catastrophic: share with c|dz|/(1+z) above {CATASTROPHIC:.0f} km/s of the spectra that are left when only the "
    "surest are taken: by sigma, those with the least; by gap, those with the greatest gap of chi2 "
    "(-2 ln probability) between the best and the second-best z, where a model tells it.",
    "A model that knows what it does not know has a share that falls to 0; one that does not, a share that stays.",
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
            warning = doubt_values(path, "warning", rows.obsid)
            if np.isfinite(warning).any():
                unwarned = warning == 0
                record["warned"] = float((warning > 0).mean())
                record["catastrophic_unwarned"] = float(failed(rows)[unwarned].mean()) if unwarned.any() else None
        records.append(record)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def completeness_table(
    predictions: Mapping[tuple[str, str, str, str], Path],
    *,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Failures among the surest ``LEVELS`` of the answers of every prediction table, by sigma and by gap.

    Models and spectra as of :func:`redshift_table`; a model without one of the two has no rows for it.  Equal sigmas
    or gaps are taken by star and obsid.
    """
    records = []
    for (task, model, size, name), path in predictions.items():
        rows = judged(read_predictions(path), LABEL)
        stars, star = np.unique(rows.star, return_inverse=True)
        counts = [*star_resamples(len(stars), replicates, seed, len(rows))] if len(stars) >= LEAST_STARS else []
        drawn = np.concatenate(counts)[:, star] if counts else None
        for order, place in surest_first(rows, path).items():
            for share in LEVELS:
                chosen = place[: max(1, round(share * len(rows)))]
                bad = failed(rows)[chosen]
                record: dict[str, object] = {"task": task, "model": model, "size": size, "set": name, "label": LABEL}
                record |= {"order": order, "completeness": share, "n": len(chosen), "catastrophic": float(bad.mean())}
                record |= {"mae": float(np.abs(rows.error[chosen]).mean())}
                record |= {"nmad": robust_scatter(rows.residual[chosen]), "interval": level}
                if drawn is not None:
                    times = drawn[:, chosen]
                    copies = (times @ bad) / np.maximum(times.sum(axis=1), 1)
                    record["catastrophic_lo"], record["catastrophic_hi"] = interval(copies, level)
                records.append(record)
    return pd.DataFrame.from_records(records, columns=list(SURE_COLUMNS))


def surest_first(rows: Judged, path: Path) -> dict[str, np.ndarray]:
    """'sigma' and 'gap', as far as the predictions in ``path`` have them -> places of ``rows``, the surest first."""
    keys = {"sigma": rows.sigma, "gap": -doubt_values(path, "gap", rows.obsid)}
    return {name: np.argsort(key, kind="stable") for name, key in keys.items() if np.isfinite(key).any()}


def failed(rows: Judged) -> np.ndarray:
    """(n,) whether an answer is a catastrophic failure."""
    return np.asarray(np.abs(rows.residual) * LIGHT > CATASTROPHIC)


def doubt_values(path: Path, name: str, obsid: np.ndarray) -> np.ndarray:
    """(n,) a column of ``tables.DOUBT`` of the redshifts of spectra; NaN where the predictions have none."""
    if name not in pq.read_schema(path).names:
        return np.full(len(obsid), np.nan)
    table = pq.read_table(path, columns=["obsid", "label", name])
    return values_of(table.filter(pc.equal(table["label"], LABEL)), name, obsid)


def _unanswered(table: pa.Table) -> int:
    """Spectra with a truth and no usable answer."""
    mine = pc.and_(pc.equal(table["label"], LABEL), pc.is_valid(table["truth"]))
    return len(table.filter(pc.and_(mine, pc.not_equal(table["status"], "ok"))))


def _estimates(rows: Judged, level: float, replicates: int, seed: int) -> dict[str, float]:
    residual, bad = rows.residual, failed(rows)
    order = np.argsort(np.where(np.isfinite(rows.sigma), rows.sigma, np.inf), kind="stable")
    sure = np.zeros(len(rows), bool)
    sure[order[: max(1, round(COMPLETENESS * len(rows)))]] = True
    sure &= np.isfinite(rows.sigma)
    of: dict[str, Callable[[np.ndarray], float]] = {
        "mae": lambda at: float(np.abs(rows.error[at]).mean()),
        "nmad": lambda at: robust_scatter(residual[at]),
        "catastrophic": lambda at: float(bad[at].mean()),
        "catastrophic_90": lambda at: float(bad[at][sure[at]].mean()) if sure[at].any() else float("nan"),
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
