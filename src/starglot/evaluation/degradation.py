"""How much worse a trained model is on altered spectra of the same stars: the degradation table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from starglot.evaluation.cells import LEAST_STARS, CellRows, cell_statistics
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged, spoilt_note
from starglot.evaluation.statistics import interval, resampled_robust_scatter, robust_scatter, star_resamples

#: What the spectra are called as they came.
UNALTERED = "unaltered"

_SHOWN = ("mean", "rmse", "robust", "coverage_68")
_RATIOS = ("rmse_ratio", "robust_ratio")
COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "label", "change", "n", "n_stars", "n_unparsable", "n_rejected"),
    *(f"{name}{end}" for name in (*_SHOWN, *_RATIOS) for end in ("", "_lo", "_hi")),
    *("interval", "note"),
)

NOTES: tuple[str, ...] = (
    "Models are those of the other tables: trained, and their sigmas calibrated, on spectra as they came.",
    "Ratios are altered over unaltered, of the spectra that are judged in both, with intervals from the same stars "
    "drawn for both: 1 is no loss.",
    "'rejected' counts spectra that cleaning refuses after the change; they were not asked about.",
)


def degradation_table(
    altered: Mapping[tuple[str, str], Mapping[str, Path]],
    unaltered: Mapping[tuple[str, str], Path],
    labels: Sequence[str],
    rejected: Mapping[str, int],
    *,
    task: str,
    level: float = 0.95,
    replicates: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Residual statistics by (model, size), label and change, and their ratios to those of the unaltered spectra.

    altered: prediction tables by (model, size) and change; unaltered: of the same models, of at least the same
    spectra; rejected: by change, how many spectra cleaning refused.  The rows 'unaltered' hold the spectra that any
    change was tried on.  n, n_stars and n_unparsable are as in ``residual_table``.
    Raises StarglotError as ``residuals.read_predictions`` does.
    """
    records = []
    for model, paths in altered.items():
        tables = {change: read_predictions(path) for change, path in paths.items()}
        tried = pa.chunked_array([chunk for table in tables.values() for chunk in table["obsid"].chunks], pa.int64())
        before = read_predictions(unaltered[model])
        before = before.filter(pc.is_in(before["obsid"], value_set=pc.unique(tried)))
        for label in labels:
            known = judged(before, label)
            for change, table in {UNALTERED: before, **tables}.items():
                rows = judged(table, label)
                keys = dict(zip(COLUMNS, (task, *model, label, change), strict=False))
                found: dict[str, object] = {
                    "n": len(rows),
                    "n_stars": len(np.unique(rows.star)),
                    "n_unparsable": _unanswered(table, label),
                    "n_rejected": rejected.get(change, 0),
                }
                usable = CellRows(rows.truth, rows.value, rows.sigma, rows.star, rows.letter, rows.residual)
                note = spoilt_note(rows) or ("no spectra" if not len(rows) else None)
                if rows.spoilt:
                    usable, found["n"] = usable.none(), 0
                cell = cell_statistics(usable, level, replicates, seed)
                found |= {f"{name}{end}": cell[f"{name}{end}"] for name in _SHOWN for end in ("", "_lo", "_hi")}
                if change != UNALTERED and not rows.spoilt and not known.spoilt:
                    found |= paired_ratios(known, rows, level, replicates, seed)
                records.append({**keys, **found, "interval": level, "note": note})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _unanswered(table: pa.Table, label: str) -> int:
    """Spectra with a truth whose answer is of no use."""
    expected = pc.and_(pc.equal(table["label"], label), pc.is_valid(table["truth"]))
    usable = pc.and_(pc.equal(table["status"], "ok"), pc.is_valid(table["value"]))
    return int(pc.sum(pc.and_(expected, pc.invert(usable))).as_py() or 0)


def paired_ratios(before: Judged, after: Judged, level: float, replicates: int, seed: int) -> dict[str, float]:
    """RMSE and robust scatter of ``after`` over those of ``before``, of the spectra in both, with intervals.

    Stars are drawn once for both, so that what makes a star hard before and after is in neither interval.  NaN
    without a spectrum in both, or where the scatter before is 0; no interval below ``LEAST_STARS`` stars.
    """
    _, one, two = np.intersect1d(before.obsid, after.obsid, return_indices=True)
    first, second = before.residual[one], after.residual[two]
    out = dict.fromkeys((f"{name}{end}" for name in _RATIOS for end in ("", "_lo", "_hi")), float("nan"))
    if not len(one):
        return out
    stars, star = np.unique(before.star[one], return_inverse=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        out["rmse_ratio"] = _ratio(np.sqrt(np.mean(second**2)), np.sqrt(np.mean(first**2)))
        out["robust_ratio"] = _ratio(np.float64(robust_scatter(second)), np.float64(robust_scatter(first)))
        if len(stars) < LEAST_STARS:
            return out
        squares = np.stack([np.bincount(star, weights=r**2, minlength=len(stars)) for r in (first, second)], axis=1)
        drawn: dict[str, list[np.ndarray]] = {name: [] for name in _RATIOS}
        for counts in star_resamples(len(stars), replicates, seed, len(one)):
            old, new = (counts @ squares).T
            drawn["rmse_ratio"].append(np.sqrt(new / old))
            old, new = (resampled_robust_scatter(r, counts[:, star]) for r in (first, second))
            drawn["robust_ratio"].append(new / old)
    for name, blocks in drawn.items():
        if np.isfinite(out[name]):
            out[f"{name}_lo"], out[f"{name}_hi"] = interval(np.concatenate(blocks), level)
    return out


def _ratio(new: np.float64, old: np.float64) -> float:
    return float(new / old) if old > 0 else float("nan")
