"""Ridge regression on the cleaned flux, and linear discriminants for the class: the floor for a linear reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.kinds.baselines import Ridge
from starglot.config.tasks import Task
from starglot.models.baselines.files import load
from starglot.models.baselines.moments import Moments, discriminant, one_hot, solve
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import accuracy, rms, scatter_by_class
from starglot.models.class_probability import likeliest
from starglot.spectra.rebin import binned
from starglot.spectra.sample_flux import ShardPath, blocks


def fit_ridge(
    settings: Ridge, train: Rows, val: Rows, shard_path: ShardPath, base: Path | None = None
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Ridge regression for each label, and linear discriminants from the regressed classes.

    base: folder of the encoder whose embeddings are read in place of flux.
    Returns tensors coefficient (m, labels), intercept (labels,), class_coefficient (m, classes), class_intercept
    (classes,; -inf for a class without rows), sigma (labels, classes + 1: residual scatter on validation rows by
    predicted class; the last column: all), and facts by label.  NaN for a label without training rows.
    """
    k = train.truth.shape[1]
    classes = list(range(k, k + train.outputs))
    groups = [[j] for j in range(k)] + [classes]
    moments: dict[str, Moments] = {}
    features_of = _reader(settings, base)
    origin: np.ndarray | None = None
    for name, rows in (("train", train), ("val", val)):
        for at, flux in blocks(rows, shard_path, f"ridge: {name}"):
            features, block = features_of(flux), rows.where(at)
            if origin is None:
                origin = features.mean(axis=0, dtype=float)
            if name not in moments:
                moments[name] = Moments(groups, origin)
            moments[name].add(features, np.hstack([block.truth, one_hot(block.group, block.outputs)]))
    assert origin is not None
    moments.setdefault("val", Moments(groups, origin))
    m = len(origin)
    weights = {
        "coefficient": np.full((m, k), np.nan),
        "intercept": np.full(k, np.nan),
        "class_coefficient": np.zeros((m, train.outputs)),
        "class_intercept": np.zeros(train.outputs),
        "sigma": np.full((k, len(train.groups) + 1), np.nan),
    }
    fits = [solve(moments["train"], moments["val"], g, settings.alphas) for g in range(k + 1)]
    for j, fit in enumerate(fits[:k]):
        if fit is not None:
            weights["coefficient"][:, j], weights["intercept"][j] = fit.coefficient[:, 0], fit.intercept[0]
            weights["sigma"][j] = fit.training_sigma[0]
    if (letters := fits[k]) is not None:
        weights["class_coefficient"], weights["class_intercept"] = discriminant(moments["train"], k, letters)
    residuals = np.full(val.truth.shape, np.nan)
    predicted = np.zeros(len(val), int)
    for at, flux in blocks(val, shard_path, "ridge: scatter"):
        features = features_of(flux)
        residuals[at] = features @ weights["coefficient"] + weights["intercept"] - val.truth[at]
        predicted[at] = _scores(features, weights).argmax(axis=1)
    scatter_by_class(weights["sigma"], residuals, predicted)
    return weights, {
        "alpha": [None if fit is None else fit.alpha for fit in fits[:k]],
        "alpha_chosen_on": [None if fit is None else fit.chosen_on for fit in fits[:k]],
        "val_rmse": [rms(residuals[:, j]) for j in range(k)],
        "class_accuracy": [accuracy(predicted, val.group)] * k,
    }


def read_ridge(settings: Ridge, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """Values, scatter of the predicted class, and the class."""
    weights, _ = load(folder, settings.kind, task)
    features_of = _reader(settings, folder)
    value = np.full((len(rows), len(task.labels)), np.nan)
    predicted, odds = np.full(len(rows), -1), np.full(len(rows), np.nan)
    for at, flux in blocks(rows, shard_path, "predict"):
        features = features_of(flux)
        value[at] = features @ weights["coefficient"] + weights["intercept"]
        predicted[at], odds[at] = likeliest(_scores(features, weights))
    return Answer(value, weights["sigma"].T[predicted], predicted, odds)


def _reader(settings: Ridge, base: Path | None) -> Callable[[np.ndarray], np.ndarray]:
    """Stored flux (n, grid) -> features (n, m): bins of it, or its embedding by the encoder in a folder."""
    if settings.base is None or base is None:
        return lambda flux: binned(flux, settings.bin)
    import torch

    from starglot.models.encoders.files import Embedder

    return Embedder(base, torch.device("cpu"))


def _scores(features: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(n, classes) of the discriminants: log-probabilities but for a constant of each row."""
    scores: np.ndarray = features @ weights["class_coefficient"] + weights["class_intercept"]
    return scores
