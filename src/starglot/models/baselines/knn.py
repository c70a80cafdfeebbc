"""Nearest neighbours in the binned flux: what remembering the training spectra is worth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.kinds.nearest import Knn
from starglot.config.tasks import Task
from starglot.models.baselines.files import load
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import accuracy, held_out_scatter, rms
from starglot.models.class_probability import log_odds
from starglot.spectra.rebin import binned
from starglot.spectra.sample_flux import ShardPath, blocks

#: Spectra whose distances to all training spectra are held at a time.
_BLOCK = 256


def fit_knn(
    settings: Knn, train: Rows, val: Rows, shard_path: ShardPath
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Remember the training spectra, and choose the number of neighbours on validation rows.

    Returns tensors features (n, bins; float32, each of unit length), truth (n, labels), group (n,), number (labels,)
    and sigma (labels, groups + 1: scatter on validation rows, by the group that is told), and facts by label.
    Without validation rows the least number is taken.
    """
    features, truth, group = _features(train, shard_path, settings.bin), train.truth, train.group
    k, numbers = truth.shape[1], sorted(set(settings.neighbours))
    weights = {"features": features, "truth": truth, "group": group, "number": np.full(k, numbers[0])}
    errors = np.full((len(numbers), k), np.nan)
    tried = [np.full(val.truth.shape, np.nan) for _ in numbers]
    predicted = np.full(len(val), -1)
    for at, near in _nearest(weights, val, shard_path, settings.bin, numbers[-1]):
        predicted[at] = _letters(group[near[:, : numbers[0]]], len(train.groups))
        for place, number in enumerate(numbers):
            tried[place][at] = _mean(truth[near[:, :number]])
    for place in range(len(numbers)):
        known = np.isfinite(val.truth - tried[place])
        for j in range(k):
            if known[:, j].any():
                errors[place, j] = np.abs(val.truth - tried[place])[known[:, j], j].mean()
    best = [int(np.nanargmin(errors[:, j])) if np.isfinite(errors[:, j]).any() else 0 for j in range(k)]
    weights["number"] = np.array([numbers[place] for place in best])
    residual = np.stack([tried[place][:, j] for j, place in enumerate(best)], axis=1) - val.truth
    weights["sigma"] = held_out_scatter(truth - _mean(truth[None])[0], residual, predicted, len(train.groups))
    return weights, {
        "neighbours": weights["number"].tolist(),
        "val_rmse": [rms(residual[:, j]) for j in range(k)],
        "class_accuracy": [accuracy(predicted, val.group)] * k,
    }


def read_knn(settings: Knn, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """Mean labels of the nearest training spectra, and the group that most of them have."""
    weights, _ = load(folder, settings.kind, task)
    number, truth, group = weights["number"].astype(int), weights["truth"], weights["group"]
    value = np.full((len(rows), len(number)), np.nan)
    predicted, odds = np.full(len(rows), -1), np.full(len(rows), np.nan)
    for at, near in _nearest(weights, rows, shard_path, settings.bin, int(number.max())):
        for j, count in enumerate(number):
            value[at, j] = _mean(truth[near[:, :count], j][..., None])[:, 0]
        groups = group[near[:, : int(number.min())]]
        predicted[at] = _letters(groups, len(task.sample.group_names))
        odds[at] = log_odds(_shares(groups, predicted[at]))
    return Answer(value, weights["sigma"].T[predicted], predicted, odds)


def _features(rows: Rows, shard_path: ShardPath, width: int) -> np.ndarray:
    out: np.ndarray | None = None
    for at, flux in blocks(rows, shard_path, "nearest neighbours"):
        features = _scaled(binned(flux, width))
        out = np.empty((len(rows), features.shape[1]), np.float32) if out is None else out
        out[at] = features
    assert out is not None
    return out


def _scaled(features: np.ndarray) -> np.ndarray:
    """Each spectrum at unit length: its shape counts, and not its brightness."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: np.ndarray = features / np.where(length > 0, length, 1)
    return scaled


def _nearest(
    weights: dict[str, np.ndarray], rows: Rows, shard_path: ShardPath, width: int, most: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of rows, and the training spectra nearest to each, the nearest first: (n, most) or fewer."""
    known = weights["features"]
    most = min(most, len(known))
    for at, flux in blocks(rows, shard_path, "predict"):
        features = _scaled(binned(flux, width)).astype(np.float32)
        for first in range(0, len(features), _BLOCK):
            alike = features[first : first + _BLOCK] @ known.T  # of unit vectors: most alike is nearest
            near = np.argsort(-alike, axis=1, kind="stable")[:, :most]
            yield np.arange(len(rows))[at][first : first + _BLOCK], near


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of (n, neighbours, labels) over those that are known, NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _letters(groups: np.ndarray, number: int) -> np.ndarray:
    """(n,) the commonest of (n, neighbours) groups, the first of those that are as common; -1 where none is known."""
    if not number:
        return np.full(len(groups), -1)
    votes = np.stack([(groups == group).sum(axis=1) for group in range(number)], axis=1)
    return np.asarray(np.where(votes.any(axis=1), votes.argmax(axis=1), -1))


def _shares(groups: np.ndarray, told: np.ndarray) -> np.ndarray:
    """(n,) which part of the known of (n, neighbours) groups are the one that is told; NaN where none is known."""
    known = (groups >= 0).sum(axis=1)
    same = (groups == told[:, None]).sum(axis=1)
    return np.asarray(np.where(known > 0, same / np.maximum(known, 1), np.nan))
