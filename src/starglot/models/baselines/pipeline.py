"""A survey's own pipeline as a model: its catalogue's labels, brought by lines to the scale of the task's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.kinds.pipeline import Pipeline
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.labels import LABELS
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows, rows_of
from starglot.models.baselines.scatter import held_out_scatter, rms, scatter

#: Residuals beyond this many times their scatter count no more in a line, which is fitted so many times.
_CLIP, _ROUNDS = 3.0, 5
#: Fewest training spectra that make a line.
_LEAST = 10


def fit_pipeline(
    settings: Pipeline, task: Task, sample: pa.Table, labels: pa.Table, catalog: pa.Table
) -> dict[str, Any]:
    """Lines from the catalogue's values to the labels, on training stars; scatter about them, on validation stars.

    sample: ``tables.SAMPLE``; labels: obsid, shard and true labels of its spectra; catalog: the survey's selected
    rows.
    Returns what a manifest says: counts, and by label slope, intercept, scatter (None where too few have both).
    """
    sample = sample.sort_by("obsid")
    rows = rows_of(task, sample, labels)
    split = sample["split"].to_numpy(zero_copy_only=False)
    train, val = rows.where(split == "train"), rows.where(split == "val")
    said, k = {}, len(task.labels)
    lines = np.full((k, 2), np.nan)
    (measured, _), (held_out, _) = (_measured(task, each, catalog) for each in (train, val))
    for j in range(k):
        lines[j] = _line(measured[:, j], train.truth[:, j]) if settings.calibrated else (1.0, 0.0)
    residuals, apart = (
        values * lines[:, 0] + lines[:, 1] - each.truth for values, each in ((measured, train), (held_out, val))
    )
    none = np.full(len(val), -1)
    sigma = held_out_scatter(residuals, apart, none, 0)[:, -1]
    for j, name in enumerate(task.labels):
        numbers = {"slope": lines[j, 0], "intercept": lines[j, 1], "scatter": sigma[j]}
        said[name] = {key: float(value) if np.isfinite(value) else None for key, value in numbers.items()}
        said[name] |= {"train": int(np.isfinite(residuals[:, j]).sum()), "val": int(np.isfinite(apart[:, j]).sum())}
        said[name]["val_rmse"] = rms(apart[:, j])
    return {"counts": {"train": len(train), "val": len(val)}, "labels": said}


def read_pipeline(task: Task, fitted: Mapping[str, Any], rows: Rows, catalog: pa.Table) -> Answer:
    """The catalogue's labels on these lines; sigma is its own error, where it has one, else the scatter.

    fitted: of :func:`fit_pipeline`.  A spectrum that the catalogue lacks, or has no label of, has none; nor a class.
    """
    lines = np.array(
        [[fitted["labels"][name][key] for key in ("slope", "intercept", "scatter")] for name in task.labels], float
    )
    value, error = _measured(task, rows, catalog)
    value = value * lines[:, 0] + lines[:, 1]
    sigma = np.where(error > 0, error * np.abs(lines[:, 0]), lines[:, 2])
    nobody = np.full(len(rows), np.nan)
    return Answer(value, np.where(np.isfinite(value), sigma, np.nan), np.full(len(rows), -1), nobody)


def _measured(task: Task, rows: Rows, catalog: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors (n, labels) of the catalogue, NaN where there are none.

    Raises StarglotError when it lacks a label.
    """
    lacking = [name for name in task.labels if name not in catalog.column_names]
    if lacking:
        raise StarglotError(
            f"the survey's catalogue has no {', '.join(lacking)}",
            where="models of kind pipeline",
            allowed=", ".join(name for name in LABELS if name in catalog.column_names),
            todo="ask for labels that its pipeline measures",
        )
    at = pc.index_in(pa.array(rows.obsid), value_set=catalog["obsid"].combine_chunks())

    def column(name: str) -> np.ndarray:
        if name not in catalog.column_names:
            return np.full(len(rows), np.nan)
        values = catalog[name].take(at).cast(pa.float64())
        return np.asarray(values.to_numpy(zero_copy_only=False))

    value = np.stack([column(name) for name in task.labels], axis=1)
    return value, np.stack([column(LABELS[name].error) for name in task.labels], axis=1)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(slope, intercept) by least squares, without outliers; NaN where too few have both."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < _LEAST or np.ptp(x) == 0:
        return np.nan, np.nan
    slope, intercept = 1.0, float(np.median(y - x))  # both are of one quantity: outliers show before any line
    for _ in range(_ROUNDS):
        residual = y - slope * x - intercept
        near = np.abs(residual) <= _CLIP * max(scatter(residual), 1e-9)
        if np.ptp(x[near]) > 0:
            slope, intercept = np.polyfit(x[near], y[near], 1)
    return float(slope), float(intercept)
