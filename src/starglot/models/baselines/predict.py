"""From a baseline's values to the table of predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from starglot.config.tasks import Task
from starglot.language.prompts import form_of
from starglot.models.baselines.rows import Rows, rows_of
from starglot.models.predictions import Predicted, Stars, are_seen, prediction_table
from starglot.models.redshifts import Doubt


@dataclass(frozen=True)
class Answer:
    """value, sigma: (n, labels), NaN where there is none; predicted: (n,) code of the class, -1 for none;
    log_odds: (n,) that it is this class, as the model states it; doubt: of the redshifts, where the model has a
    distribution of them."""

    value: np.ndarray
    sigma: np.ndarray
    predicted: np.ndarray
    log_odds: np.ndarray
    doubt: Doubt | None = None


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
    k = answer.value.shape[1]
    told = form_of(task).asks_class & (answer.predicted >= 0)
    letters = np.array([*rows.groups, None], dtype=object)[np.where(told, answer.predicted, -1)]  # the last: no class
    predicted = Predicted(
        value=answer.value,
        sigma=answer.sigma,
        status=np.where(np.isfinite(answer.value.reshape(-1)), "ok", "not_answered").tolist(),
        letter=pa.array(np.repeat(letters, k), pa.string()),
        log_odds=np.repeat(np.where(told, answer.log_odds, np.nan), k),
        doubt=answer.doubt,
    )
    return prediction_table(sample_rows, task.labels, rows.truth, predicted, are_seen(sample_rows, seen))
