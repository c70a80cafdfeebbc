"""Cross-validation: every star tried once, by the model that left its fold out of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from starglot.config.names import read_name
from starglot.evaluation.residuals import residual_table

#: Statistics of a fold; each has its scatter over the folds beside it.
STATISTICS: tuple[str, ...] = ("mean", "std", "rmse", "robust", "r2", "skill")

COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "set", "label", "class", "folds", "n", "n_stars"),
    *(f"{name}{end}" for name in STATISTICS for end in ("", "_over_folds")),
)

NOTES: tuple[str, ...] = (
    "Each star is in one fold, in every task and size. A model of each fold learns from the other folds and is tried "
    "on its own: of the configured split validation stars validate, training and test stars teach.",
    "Each statistic is the mean over the folds, with its standard deviation over the folds (ddof 1) beside it. The "
    "folds' training sets overlap, so that it is no standard error of the mean.",
)


def crossval_table(
    predictions: Mapping[tuple[str, str, str], Path], labels: Sequence[str], *, task: str
) -> pd.DataFrame:
    """Mean and scatter over the folds of every statistic, by model, size, set, label and class.

    predictions: by (model, size, set), models named '<model>.f<fold>'.  A fold without stars for a
    cell is left out of that cell; ``folds`` is the number of the others.
    """
    every = residual_table(predictions, labels, task=task, groups=(), replicates=1)
    every["model"] = [read_name(name).model for name in every["model"]]
    records = []
    for keys, cell in every.groupby(["model", "size", "set", "label", "class"], sort=False):
        used = cell[cell["rmse"].notna()]
        record = dict(zip(("model", "size", "set", "label", "class"), keys, strict=True))
        record |= {"task": task, "folds": len(used), "n": int(used["n"].sum()), "n_stars": int(used["n_stars"].sum())}
        for name in STATISTICS:
            record |= {name: used[name].mean(), f"{name}_over_folds": used[name].std(ddof=1)}
        records.append(record)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
