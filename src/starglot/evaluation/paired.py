"""Two models on the same stars: is one better than the other, or is it chance?

Errors of two models on one spectrum have much in common (the label's own error, a hard star), so that the intervals
of both may overlap widely where the difference is sure.  Here each star's errors are compared with each other, and
stars are resampled in pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from starglot.config.names import read_name
from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged, spoilt_note
from starglot.evaluation.skill import negligible
from starglot.evaluation.statistics import interval, star_resamples

#: What a comparison tells, in the order of the columns.
COLUMNS: tuple[str, ...] = (
    *("task", "size", "set", "label", "model", "baseline", "seeds", "baseline_seeds"),
    *("n", "n_stars", "n_left_out", "r2", "r2_baseline"),
    *("r2_difference", "r2_difference_lo", "r2_difference_hi"),
    *("error_ratio", "error_ratio_lo", "error_ratio_hi", "p_better", "verdict"),
    *("seed_spread", "baseline_seed_spread", "interval", "note"),
)

NOTES: tuple[str, ...] = (
    "Baseline: of the models that are no language models, the one with the smallest mean squared error of the label "
    "on validation stars; test stars have no say in it.",
    "R2 difference: model less baseline, on the spectra that both answer. Error ratio: mean squared error of the "
    "model over that of the baseline, smaller than 1 where the model is better. Stars are resampled, both models "
    "together.",
    "P(better): fraction of the resampled sets of stars on which the model's squared error is the smaller one. "
    "Verdict: ahead or behind where the whole interval of the error ratio is on one side of 1, else level.",
    "Several seeds of a model: squared errors are means over its seeds, R2 too; seed spread is the standard "
    "deviation of R2 over seeds (ddof 1). The interval is over stars, for these seeds.",
)

#: Tables of predictions, one a seed: (validation, test).
Tables = Sequence[tuple[Path, Path]]


@dataclass(frozen=True)
class Pair:
    """Squared errors of two models on the same spectra, (seeds, n) each; truth (n,) and star (n,) of these."""

    model: np.ndarray
    baseline: np.ndarray
    truth: np.ndarray
    star: np.ndarray


def compare(pair: Pair, *, level: float = 0.95, replicates: int = 2000, seed: int = 0) -> dict[str, float | str]:
    """What :data:`COLUMNS` says of a pair, from ``r2`` to ``verdict``; NaN where the truth is constant.

    With fewer than :data:`starglot.evaluation.cells.LEAST_STARS` stars there is no interval and no verdict.
    """
    names, index = np.unique(pair.star, return_inverse=True)
    centred = pair.truth - pair.truth.mean()
    model, baseline = pair.model.mean(axis=0), pair.baseline.mean(axis=0)
    total = float(np.sum(centred**2))
    if not total > negligible(pair.truth):
        total = float("nan")
    out: dict[str, float | str] = {
        "r2": 1 - float(model.sum()) / total,
        "r2_baseline": 1 - float(baseline.sum()) / total,
        "r2_difference": float(baseline.sum() - model.sum()) / total,
        "error_ratio": _ratio(float(model.sum()), float(baseline.sum())),
        "seed_spread": _spread(1 - pair.model.sum(axis=1) / total),
        "baseline_seed_spread": _spread(1 - pair.baseline.sum(axis=1) / total),
    }
    if len(names) < LEAST_STARS:
        return out
    # Sums by star are all that a resampled set of stars needs.
    columns = np.stack([np.ones_like(centred), centred, centred**2, model, baseline])
    by_star = np.stack([np.bincount(index, weights=column) for column in columns], axis=1)
    drawn = np.concatenate([counts @ by_star for counts in star_resamples(len(names), replicates, seed, len(names))])
    n, first, second, of_model, of_baseline = drawn.T
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = (of_baseline - of_model) / (second - first**2 / n)
        ratio = of_model / of_baseline
    better = float(np.mean(of_model < of_baseline) + np.mean(of_model == of_baseline) / 2)
    low, high = interval(ratio, level)
    out["r2_difference_lo"], out["r2_difference_hi"] = interval(difference, level)
    verdict = "ahead" if high < 1 else "behind" if low > 1 else "level"
    return out | {"error_ratio_lo": low, "error_ratio_hi": high, "p_better": better, "verdict": verdict}


def paired_table(
    models: Mapping[str, Tables],
    baselines: Mapping[str, Tables],
    labels: Sequence[str],
    *,
    task: str,
    size: str,
    level: float = 0.95,
    replicates: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Each of ``models`` against the best of ``baselines``, label by label, at one size.

    Both map a model's name to its prediction tables of the validation set and of the set that is judged, one pair of
    files for each seed.  Spectra that one of the two does not answer, or one of whose stars it was trained on, are
    counted and left out.  A label that cannot be compared has a row without numbers, and its ``note`` says why.
    """
    read = {
        path: read_predictions(path) for tables in (*models.values(), *baselines.values()) for path in _all(tables)
    }
    records = []
    for label in labels:
        rows = {path: judged(table, label) for path, table in read.items()}
        best = best_baseline({name: [rows[val] for val, _ in tables] for name, tables in baselines.items()})
        for name, tables in models.items():
            record: dict[str, object] = {"task": task, "size": size, "label": label, "model": name}
            record |= {"set": tables[0][1].name.split(".")[0], "baseline": best, "seeds": len(tables)}
            if best is None:
                records.append(record | {"note": "no baseline answers for validation stars"})
                continue
            record["baseline_seeds"] = len(baselines[best])
            judged_rows = [rows[test] for _, test in (*tables, *baselines[best])]
            if spoilt := next(filter(None, map(spoilt_note, judged_rows)), None):
                records.append(record | {"n": 0, "note": spoilt})
                continue
            pair, left_out = paired(*([rows[test] for _, test in of] for of in (tables, baselines[best])))
            stars = len(np.unique(pair.star))
            record |= {"n": len(pair.truth), "n_stars": stars, "n_left_out": left_out, "interval": level}
            if len(pair.truth) < 2:
                records.append(record | {"note": "fewer than two spectra that both answer"})
                continue
            note = f"fewer than {LEAST_STARS} stars: no interval" if stars < LEAST_STARS else None
            found = compare(pair, level=level, replicates=replicates, seed=seed)
            records.append({**record, **found, "note": note})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def best_baseline(validation: Mapping[str, Sequence[Judged]]) -> str | None:
    """The model with the smallest mean squared error on the spectra that all models answer; the first one of equals.

    validation: one label's rows of the validation set by model, for each of its seeds.  None when there is no such
    spectrum; a model that answers none at all takes no part.
    """
    answered = {name: seeds for name, seeds in validation.items() if all(len(rows) for rows in seeds)}
    errors = {}
    common = _common([rows for seeds in answered.values() for rows in seeds])
    for name, seeds in answered.items():
        errors[name] = np.mean([np.mean(_at(rows, common).error ** 2) for rows in seeds]) if len(common) else np.nan
    return min(errors, key=lambda name: errors[name]) if len(common) else None


def paired(model: Sequence[Judged], baseline: Sequence[Judged]) -> tuple[Pair, int]:
    """The spectra that all seeds of both models answer, and how many others any of them does."""
    every = [*model, *baseline]
    common = _common(every)
    others = len(np.unique(np.concatenate([rows.obsid for rows in every]))) - len(common)
    of_model, of_baseline = ([_at(rows, common) for rows in seeds] for seeds in (model, baseline))
    model_errors, baseline_errors = (np.stack([rows.error**2 for rows in seeds]) for seeds in (of_model, of_baseline))
    return Pair(model_errors, baseline_errors, of_model[0].truth, of_model[0].star), others


def by_seed(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Prediction tables (``.../{model}/{size}/{set}.parquet``) by the model's name without its seed."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(read_name(path.parts[-3]).model, []).append(path)
    return found


def _all(tables: Tables) -> list[Path]:
    return [path for pair in tables for path in pair]


def _common(rows: Sequence[Judged]) -> np.ndarray:
    """Spectra (obsid, ascending) that all have."""
    common = rows[0].obsid if rows else np.empty(0, int)
    for other in rows[1:]:
        common = np.intersect1d(common, other.obsid)
    return np.unique(common)


def _at(rows: Judged, obsid: np.ndarray) -> Judged:
    """The rows of these spectra, by obsid."""
    chosen = rows.where(np.isin(rows.obsid, obsid))
    return chosen.where(np.argsort(chosen.obsid))


def _ratio(model: float, baseline: float) -> float:
    return model / baseline if baseline > 0 else float("nan")


def _spread(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
