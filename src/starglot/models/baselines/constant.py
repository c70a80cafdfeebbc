"""The same answer for every spectrum: what a model has to beat that has learnt anything at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.kinds.nearest import Constant
from starglot.config.tasks import Task
from starglot.models.baselines.files import load
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import scatter
from starglot.spectra.sample_flux import ShardPath


def fit_constant(
    settings: Constant, train: Rows, val: Rows, shard_path: ShardPath
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Median and scatter about it of each label over the training rows, whatever their group; reads no flux.

    Returns tensors median, sigma (labels,), NaN for a label without rows, and facts by label.
    """
    k = train.truth.shape[1]
    median, sigma = np.full(k, np.nan), np.full(k, np.nan)
    for j in range(k):
        known = train.truth[np.isfinite(train.truth[:, j]), j]
        if len(known):
            median[j] = np.median(known)
            sigma[j] = scatter(known - median[j])
    return {"median": median, "sigma": sigma}, {"scatter": [float(s) if np.isfinite(s) else None for s in sigma]}


def read_constant(settings: Constant, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """The medians, for every row; no group is told."""
    weights, _ = load(folder, settings.kind, task)
    n = len(rows)
    return Answer(
        np.tile(weights["median"], (n, 1)), np.tile(weights["sigma"], (n, 1)), np.full(n, -1), np.full(n, np.nan)
    )
