"""Where the errors come from: label noise, photon noise, the model's own scatter, and a systematic offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.config.names import read_name
from starglot.evaluation.residuals import ALL, read_predictions
from starglot.evaluation.rows import Judged, judged, spoilt_note, values_of
from starglot.labels import LABELS

COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "set", "label", "class", "n", "n_stars", "n_revisits"),
    *("rmse", "mean", "std", "label_noise", "photon_noise", "model_scatter", "unexplained", "note"),
)

#: Fewer visits beyond the first of their star than this do not measure a scatter.
LEAST_REVISITS = 5

NOTES: tuple[str, ...] = (
    "Label noise: root mean square of the catalogue's own errors of the labels.",
    "Photon noise: scatter of the predictions of one star's visits about their mean; "
    f"empty with fewer than {LEAST_REVISITS} visits beyond the first.",
    "Model scatter: scatter of the predictions of one spectrum by models that differ in seed, or in the stars that "
    "they learnt from (folds), alone; none has learnt from its star. Empty where there is one model (repeats:).",
    "Unexplained: what of std these leave, sqrt(std^2 - label^2 - photon^2 - model^2); 0 where they exceed it. "
    "Repeat visits carry what differs between nights, so that photon noise is an upper bound of it.",
)


def within_scatter(values: np.ndarray, group: np.ndarray) -> tuple[float, int]:
    """(pooled standard deviation within groups, degrees of freedom) of values (n,) in groups (n,).

    Unbiased variance: sum of squares about each group's mean over sum of (members - 1); NaN without a pair.
    """
    names, index = np.unique(group, return_inverse=True)
    if len(names) == len(values):
        return float("nan"), 0
    mean = np.bincount(index, weights=values) / np.bincount(index)
    freedom = len(values) - len(names)
    return float(np.sqrt(np.sum((values - mean[index]) ** 2) / freedom)), freedom


def budget_table(
    predictions: Mapping[tuple[str, str, str], Path],
    labels: Sequence[str],
    facts: pa.Table,
    *,
    task: str,
    groups: Sequence[str],
    repeats: Mapping[tuple[str, str, str], Path] | None = None,
) -> pd.DataFrame:
    """The error budget by (model, size, set), label and group.  facts: obsid and each label's error.

    repeats: predictions of the same models of other seeds and folds ('ridge.s1', 'ridge.f3'), which have no rows of
    their own.  A cell with NaN or infinite values is marked and has no numbers.
    """
    tables = {key: read_predictions(path) for key, path in predictions.items()}
    every = tables | {key: read_predictions(path) for key, path in (repeats or {}).items()}
    records = []
    for (model, size, name), table in tables.items():
        siblings = [t for (m, s, n), t in every.items() if (_stem(m), s, n) == (_stem(model), size, name)]
        for label in labels:
            rows = judged(table, label)
            others = [judged(sibling, label) for sibling in siblings] if len(siblings) > 1 else []
            noise = values_of(facts, LABELS[label].error, rows.obsid)
            for letter in (ALL, *groups):
                keys = dict(zip(COLUMNS, (task, model, size, name, label, letter), strict=False))
                here = rows.letter == letter if letter != ALL else np.ones(len(rows), bool)
                records.append({**keys, **_row(rows.where(here), noise[here], others)})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _stem(model: str) -> str:
    return read_name(model).model


def _row(rows: Judged, label_error: np.ndarray, siblings: list[Judged]) -> dict[str, object]:
    photon, revisits = within_scatter(rows.value, rows.star)
    out: dict[str, object] = {"n": len(rows), "n_stars": len(np.unique(rows.star)), "n_revisits": revisits}
    if rows.spoilt:
        return out | {"n": 0, "note": spoilt_note(rows)}
    if len(rows) < 2:
        return out | {"note": "no spectra" if len(rows) == 0 else "one spectrum: no scatter"}
    residual, known = rows.error, np.isfinite(label_error)
    std = float(np.std(residual))
    noise = {
        "label_noise": float(np.sqrt(np.mean(label_error[known] ** 2))) if known.any() else float("nan"),
        "photon_noise": photon if revisits >= LEAST_REVISITS else float("nan"),
        "model_scatter": _model_scatter(rows.obsid, siblings),
    }
    explained = float(np.nansum([value**2 for value in noise.values()]))
    return (
        out
        | noise
        | {
            "rmse": float(np.sqrt(np.mean(residual**2))),
            "mean": float(np.mean(residual)),
            "std": std,
            "unexplained": float(np.sqrt(max(0.0, std**2 - explained))),
        }
    )


def _model_scatter(obsid: np.ndarray, siblings: list[Judged]) -> float:
    if not siblings:
        return float("nan")
    parts = [rows.where(np.isin(rows.obsid, obsid)) for rows in siblings]
    return within_scatter(np.concatenate([p.value for p in parts]), np.concatenate([p.obsid for p in parts]))[0]
