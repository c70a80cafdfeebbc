"""From a baseline's values to the table of predictions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from starglot.config.tasks import Task
from starglot.language.prompts import form_of
from starglot.models.baselines.rows import Rows, rows_of
from starglot.tables import PREDICTION

Stars: TypeAlias = Collection[str] | pa.Array | pa.ChunkedArray


@dataclass(frozen=True)
class Answer:
    """value, sigma: (n, labels), NaN where there is none; predicted: (n,) code of the class, -1 for none."""

    value: np.ndarray
    sigma: np.ndarray
    predicted: np.ndarray


def predict(
    read: Callable[[Rows], Answer], task: Task, sample_rows: pa.Table, labels: pa.Table, seen: Stars
) -> pa.Table:
    """Raw predictions (``tables.PREDICTION``, sigma null) for ``sample_rows`` (columns of ``tables.SAMPLE``).

    read: the trained model; labels: obsid, shard and the task's label columns; seen: star ids of the training.
    The class is told where the task asks for it.  A label without a value is 'not_answered'.
    """
    sample_rows = sample_rows.sort_by("obsid")
    rows = rows_of(task, sample_rows, labels)
    answer = read(rows)
    n, k = answer.value.shape
    each = pa.array(np.repeat(np.arange(n), k))
    known = set(seen.to_pylist() if isinstance(seen, pa.Array | pa.ChunkedArray) else seen)
    asks_class = form_of(task).asks_class and (answer.predicted >= 0).any()
    letters = np.array([*rows.groups, None], dtype=object)[answer.predicted]  # -1 is the last, no class
    answered = np.isfinite(answer.value.reshape(-1))
    columns = {
        "obsid": sample_rows["obsid"].take(each),
        "star_id": sample_rows["star_id"].take(each),
        "class": sample_rows["class"].take(each),
        "class_pred": pa.array(np.repeat(letters, k), pa.string()) if asks_class else pa.nulls(n * k, pa.string()),
        "label": pa.array(list(task.labels) * n, pa.string()),
        "truth": _floats(rows.truth),
        "value": _floats(answer.value),
        "sigma": pa.nulls(n * k, pa.float64()),
        "sigma_raw": _floats(answer.sigma),
        "status": pa.array(np.where(answered, "ok", "not_answered").tolist(), pa.string()),
        "seen": pa.array([star in known for star in sample_rows["star_id"].to_pylist()], pa.bool_()).take(each),
    }
    return pa.table(columns).cast(PREDICTION).combine_chunks()


def _floats(array: np.ndarray) -> pa.Array:
    flat = array.reshape(-1)
    return pa.array(flat, pa.float64(), mask=~np.isfinite(flat))
