"""The mean label of the catalogue's class: what knowing the class alone is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.kinds.baselines import ClassMean
from starglot.config.tasks import Task
from starglot.models.baselines.files import load
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import MIN_SCATTER, scatter
from starglot.spectra.sample_flux import ShardPath


def fit_class_mean(
    settings: ClassMean, train: Rows, val: Rows, shard_path: ShardPath
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Mean and scatter of each label by group; a group without rows gets those of all.

    Returns tensors mean, sigma (labels, groups + 1; the last column: all rows), and facts by label; reads no flux.
    """
    k, groups = train.truth.shape[1], len(train.groups)
    mean, sigma = np.full((k, groups + 1), np.nan), np.full((k, groups + 1), np.nan)
    for j in range(k):
        y, known = train.truth[:, j], np.isfinite(train.truth[:, j])
        if not known.any():
            continue
        for c in range(-1, groups):  # -1: all rows, the last column
            mine = known & (train.group == c) if c >= 0 else known
            mean[j, c] = y[mine].mean() if mine.any() else mean[j, -1]
        for c in range(-1, groups):
            mine = known & (train.group == c) if c >= 0 else known
            enough = mine.sum() >= MIN_SCATTER or c < 0
            sigma[j, c] = scatter(y[mine] - mean[j, c]) if enough else sigma[j, -1]
    return {"mean": mean, "sigma": sigma}, {"scatter": [float(s) if np.isfinite(s) else None for s in sigma[:, -1]]}


def read_class_mean(settings: ClassMean, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """The means of each row's own group, which is the catalogue's: none is predicted."""
    weights, _ = load(folder, settings.kind, task)
    none = np.full(len(rows), np.nan)
    return Answer(weights["mean"].T[rows.group], weights["sigma"].T[rows.group], np.full(len(rows), -1), none)
