"""Kernel ridge regression on principal components of the pixels that patch tokens are made of.

Components come from training flux alone, never from a label: pixels over a continuum and over their noise, projected
on their main directions, of which the strongest are shrunk towards the noise (as ``channels: whitened`` of the
patches does it), and the coarse shape of the flux beside them.  A function that is smooth in these is found with
kernels at training spectra, the landmarks (:mod:`.kernels`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.kinds.baselines import KernelRidge
from starglot.config.tasks import Task
from starglot.hashing import stable_hash
from starglot.models.baselines.files import load
from starglot.models.baselines.kernels import BLOCK, KERNELS, Chosen, Shown, fit_kernels
from starglot.models.baselines.moments import one_hot
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import accuracy, rms, scatter_by_class
from starglot.models.class_probability import likeliest
from starglot.spectra.pixels import pixels, redraw_pixels
from starglot.spectra.resample import stored_grid
from starglot.spectra.sample_flux import ShardPath, blocks, evenly_spread

log = logging.getLogger(__name__)

#: Means of log flux that tell the spectrum's shape.
_COARSE = 10
#: A direction of this variance, in units of the noise, is shrunk by half (whitening 1), as by the patches.
_KNEE = 8.0


@dataclass(frozen=True)
class Components:
    """What turns pixels (m,) and coarse values (c,) into components (k + c,): statistics of training spectra."""

    mean: np.ndarray
    noise: np.ndarray
    directions: np.ndarray
    coarse_mean: np.ndarray
    coarse_scatter: np.ndarray

    def of(self, fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """float32 (n, k + c) of pixels (n, m; NaN counts as the mean) and coarse values (n, c)."""
        over = np.nan_to_num((fine - self.mean) / self.noise).astype(np.float32)
        shape = (coarse - self.coarse_mean) / self.coarse_scatter
        return np.hstack([over @ self.directions.T, shape]).astype(np.float32)


def fit_kernel_ridge(
    settings: KernelRidge, train: Rows, val: Rows, shard_path: ShardPath
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Kernel ridge regression for each label, and linear discriminants, in the kernels, for the class.

    Width and penalty are chosen label by label on validation rows (by generalised cross-validation where those are
    too few).  Returns the statistics of :class:`Components`; landmark (m, k + c); dual (m, labels), intercept and
    width (labels,), NaN for a label without training rows; the same of the class as class_dual (m, classes),
    class_intercept (classes,) and class_width (1,); sigma as of :func:`starglot.models.baselines.ridge.fit_ridge`;
    and facts by label.
    """
    k = train.truth.shape[1]
    groups = [[j] for j in range(k)] + [list(range(k, k + train.outputs))]
    components = _components(settings, train, shard_path)
    shown, shown_val = (
        _shown(components, rows, shard_path, settings, copies)
        for rows, copies in ((train, settings.copies), (val, 0))
    )
    landmark = shown[0][_drawn(train, settings.landmarks)]
    if len(landmark) < len(train):
        log.info("kernels at %s landmarks, of %s training spectra", f"{len(landmark):,}", f"{len(train):,}")
    kernel = KERNELS[settings.kernel]
    known, known_val = (
        Shown(numbers, np.hstack([rows.truth, one_hot(rows.group, rows.outputs)]))
        for numbers, rows in ((shown, train), (shown_val, val))
    )
    best = fit_kernels(kernel, landmark, settings.widths, settings.alphas, groups, known, known_val, classes=k)
    *of_labels, of_class = best
    weights = {
        **vars(components),
        "landmark": landmark,
        **_weights(of_labels, of_class, len(landmark), train.outputs),
    }
    weights["sigma"] = np.full((k, len(train.groups) + 1), np.nan)
    for j, found in enumerate(of_labels):
        if found is not None:
            weights["sigma"][j] = found.fit.training_sigma[0]
    value, scores = _answers(settings, weights, shown_val[0])
    predicted = scores.argmax(axis=1)
    scatter_by_class(weights["sigma"], value - val.truth, predicted)
    return weights, {
        "alpha": [None if found is None else found.fit.alpha for found in of_labels],
        "width": [None if found is None else found.factor for found in of_labels],
        "chosen_on": [None if found is None else found.fit.chosen_on for found in of_labels],
        "val_rmse": [rms(value[:, j] - val.truth[:, j]) for j in range(k)],
        "class_accuracy": [accuracy(predicted, val.group)] * k,
        "landmarks": [len(landmark)] * k,
    }


def read_kernel_ridge(settings: KernelRidge, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """Values, scatter of the predicted class, and the class, shard by shard."""
    weights, _ = load(folder, settings.kind, task)
    components = Components(**{name: weights[name] for name in Components.__dataclass_fields__})
    value = np.full((len(rows), len(task.labels)), np.nan)
    predicted, odds = np.full(len(rows), -1), np.full(len(rows), np.nan)
    wave = _grid(rows, shard_path)
    for at, flux in blocks(rows, shard_path, "predict"):
        value[at], scores = _answers(settings, weights, components.of(*pixels(flux, _COARSE, wave)))
        predicted[at], odds[at] = likeliest(scores)
    return Answer(value, weights["sigma"].T[predicted], predicted, odds)


def _components(settings: KernelRidge, train: Rows, shard_path: ShardPath) -> Components:
    """Statistics of at most ``ENOUGH`` training spectra, as of the patches."""
    from starglot.models.projector import ENOUGH, statistics_of  # torch is a second to import

    few = evenly_spread(len(train), ENOUGH)
    flux = _flux(train.where(few), shard_path)
    found = statistics_of(*pixels(flux, _COARSE, _grid(train, shard_path)), settings.components)
    shrink = (_KNEE / (found.variances + _KNEE)) ** (settings.whitening / 2)
    return Components(
        mean=found.mean.astype(np.float32),
        noise=found.noise.astype(np.float32),
        directions=(found.directions * shrink[:, None]).astype(np.float32),
        coarse_mean=found.coarse_mean.astype(np.float32),
        coarse_scatter=found.coarse_scatter.astype(np.float32),
    )


def _flux(rows: Rows, shard_path: ShardPath) -> np.ndarray:
    """int16 (n, grid) of all ``rows``, in their order."""
    parts = list(blocks(rows, shard_path, "kernel ridge: components"))
    flux = np.concatenate([flux for _, flux in parts])
    ordered: np.ndarray = flux[np.argsort(np.concatenate([at for at, _ in parts]))]
    return ordered


def _grid(rows: Rows, shard_path: ShardPath) -> np.ndarray:
    """Wavelengths (A) of the rows' spectra, (grid,); none where there are no rows."""
    return stored_grid(shard_path(rows.shards[0])) if len(rows) else np.empty(0)


def _shown(
    components: Components, rows: Rows, shard_path: ShardPath, settings: KernelRidge, copies: int
) -> np.ndarray:
    """float32 (1 + copies, n, components) of the rows as they are, and drawn anew."""
    shown = np.empty((1 + copies, len(rows), len(components.directions) + _COARSE), np.float32)
    wave = _grid(rows, shard_path)
    for at, flux in blocks(rows, shard_path, "kernel ridge: spectra"):
        fine, coarse = pixels(flux, _COARSE, wave)
        shown[0, at] = components.of(fine, coarse)
        for copy in range(1, 1 + copies):
            for i, row in enumerate(at):
                rng = np.random.default_rng([settings.seed, copy, int(rows.obsid[row])])
                one = fine[i : i + 1], coarse[i : i + 1]
                anew = redraw_pixels(*one, settings.augment, components.noise, wave, rng)
                shown[copy, row] = components.of(*anew)[0]
    return shown


def _drawn(rows: Rows, most: int) -> np.ndarray:
    """Which rows are landmarks, at most so many: those with the smallest hashes of their ids, in order."""
    if len(rows) <= most:
        return np.arange(len(rows))
    return np.sort(np.argsort(stable_hash(rows.obsid.tolist(), "landmarks"), kind="stable")[:most])


def _weights(
    labels: list[Chosen | None], of_class: Chosen | None, landmarks: int, classes: int
) -> dict[str, np.ndarray]:
    """What predicts, as tensors."""
    weights = {
        "dual": np.full((landmarks, len(labels)), np.nan),
        "intercept": np.full(len(labels), np.nan),
        "width": np.full(len(labels), np.nan),
        "class_dual": np.zeros((landmarks, classes)),
        "class_intercept": np.zeros(classes),
        "class_width": np.ones(1),
    }
    for j, found in enumerate(labels):
        if found is not None:
            weights["dual"][:, j], weights["intercept"][j] = found.dual[:, 0], found.intercept[0]
            weights["width"][j] = found.width
    if of_class is not None:
        weights["class_dual"], weights["class_intercept"] = of_class.dual, of_class.intercept
        weights["class_width"][0] = of_class.width
    return weights


def _answers(
    settings: KernelRidge, weights: dict[str, np.ndarray], shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, labels) and scores of the classes (n, classes), log-probabilities but for a constant of each row, of
    components (n, k)."""
    kernel, width = KERNELS[settings.kernel], weights["width"]
    value, score = np.full((len(shown), len(width)), np.nan), np.zeros((len(shown), len(weights["class_intercept"])))
    class_width = float(weights["class_width"][0])
    for first in range(0, len(shown), BLOCK):
        part = slice(first, first + BLOCK)
        for one in sorted({class_width, *width[np.isfinite(width)].tolist()}):
            at_landmarks = kernel(shown[part], weights["landmark"], one)
            mine = width == one
            value[part, mine] = at_landmarks @ weights["dual"][:, mine] + weights["intercept"][mine]
            if one == class_width:
                score[part] = at_landmarks @ weights["class_dual"] + weights["class_intercept"]
    return value, score
