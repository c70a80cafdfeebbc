"""Baselines: what a model has to beat.  The class mean, and ridge regression on the cleaned flux.

Trained on the same sample and splits as the language model, saved as safetensors, predicting the same table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from starglot.config.models import ClassMean, Ridge, Task
from starglot.errors import StarglotError
from starglot.glossary import CLASSES
from starglot.models.ridge import Moments, discriminant, solve
from starglot.tables import FLUX_SCALE, PREDICTION, atomic_path, read_spectra

#: The file of weights in a model's folder.
WEIGHTS = "baseline.safetensors"

#: Fewest rows of a class from which its own scatter is taken.
_MIN_SCATTER = 20
#: Numbers in a block of features (64 MB): bounds memory whatever the bin.
_MAX_BLOCK = 8_000_000

ShardPath = Callable[[str], Path]


@dataclass(frozen=True)
class Rows:
    """Spectra with their labels: obsid (n,), shard (n,), truth (n, labels; NaN where missing), code (n,) of class."""

    obsid: np.ndarray
    shard: np.ndarray
    truth: np.ndarray
    code: np.ndarray

    def __len__(self) -> int:
        return len(self.obsid)

    def where(self, chosen: np.ndarray) -> Rows:
        """The rows that a boolean or index array chooses."""
        return Rows(self.obsid[chosen], self.shard[chosen], self.truth[chosen], self.code[chosen])


def train_baseline(
    settings: Ridge | ClassMean,
    task: Task,
    sample: pa.Table,
    labels: pa.Table,
    shard_path: ShardPath,
    out: Path,
) -> dict[str, Any]:
    """Train on the sample's training split, write ``baseline.safetensors`` to ``out``, return what a manifest says.

    sample: ``tables.SAMPLE``; labels: obsid, shard and the task's label columns for at least the sample's spectra;
    shard_path: a shard's cleaned spectra.  The validation split chooses penalties and measures the scatter.
    Raises StarglotError when the training split is empty or a spectrum is missing.
    """
    rows = _rows(task, sample, labels)
    split = sample["split"].to_numpy(zero_copy_only=False)
    train, val = rows.where(split == "train"), rows.where(split == "val")
    if not len(train):
        raise StarglotError("the training split of this sample is empty", todo="take a larger sample")
    if isinstance(settings, ClassMean):
        weights, facts = fit_class_mean(train)
    else:
        weights, facts = fit_ridge(settings, train, val, shard_path)
    _save(weights, {"kind": settings.kind, "labels": task.labels, "bin": getattr(settings, "bin", None)}, out)
    known = {name: {"train": train.truth[:, j], "val": val.truth[:, j]} for j, name in enumerate(task.labels)}
    by_label = {name: {k: values[j] for k, values in facts.items()} for j, name in enumerate(task.labels)}
    return {
        "kind": settings.kind,
        "settings": settings.model_dump(),
        "rows": {"train": len(train), "val": len(val)},
        "labels": {
            name: {**{part: int(np.isfinite(v).sum()) for part, v in parts.items()}, **by_label[name]}
            for name, parts in known.items()
        },
    }


def predict_baseline(
    settings: Ridge | ClassMean,
    task: Task,
    model_dir: Path,
    sample_rows: pa.Table,
    labels: pa.Table,
    shard_path: ShardPath,
    seen: Collection[str] | pa.Array | pa.ChunkedArray,
) -> pa.Table:
    """Raw predictions (``tables.PREDICTION``, sigma null) for ``sample_rows`` (columns of ``tables.SAMPLE``).

    seen: star ids of the training.  The class is predicted where the task asks for it, by ridge only: the class mean
    is given the catalogue's class.  A label without training rows is 'not_answered'.
    """
    sample_rows = sample_rows.sort_by("obsid")
    rows = _rows(task, sample_rows, labels)
    weights = _load(model_dir, settings.kind, task)
    k = len(task.labels)
    value, sigma = np.full((len(rows), k), np.nan), np.full((len(rows), k), np.nan)
    predicted = np.full(len(rows), -1)
    if isinstance(settings, ClassMean):
        value, sigma = weights["mean"].T[rows.code], weights["sigma"].T[rows.code]
    else:
        for at, features, _ in _blocks(rows, shard_path, settings.bin, "predict"):
            value[at] = features @ weights["coefficient"] + weights["intercept"]
            predicted[at] = _classify(features, weights)
            sigma[at] = weights["sigma"].T[predicted[at]]
    asks_class = task.prompt == "atmosphere" and not isinstance(settings, ClassMean)
    letters = np.array([*CLASSES, ""], dtype=object)[predicted]  # -1 is the last, no class
    return _table(task, sample_rows, rows, letters if asks_class else None, value, sigma, seen)


def fit_class_mean(train: Rows) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Mean and scatter of each label by class; a class without rows gets those of all.

    Returns tensors mean, sigma (labels, classes + 1; the last column: all rows), and facts by label.
    """
    k = train.truth.shape[1]
    mean, sigma = np.full((k, len(CLASSES) + 1), np.nan), np.full((k, len(CLASSES) + 1), np.nan)
    for j in range(k):
        y, known = train.truth[:, j], np.isfinite(train.truth[:, j])
        if not known.any():
            continue
        for c in range(-1, len(CLASSES)):  # -1: all rows, the last column
            mine = known & (train.code == c) if c >= 0 else known
            mean[j, c] = y[mine].mean() if mine.any() else mean[j, -1]
        for c in range(-1, len(CLASSES)):
            mine = known & (train.code == c) if c >= 0 else known
            enough = mine.sum() >= _MIN_SCATTER or c < 0
            sigma[j, c] = scatter(y[mine] - mean[j, c]) if enough else sigma[j, -1]
    return {"mean": mean, "sigma": sigma}, {"scatter": [float(s) if np.isfinite(s) else None for s in sigma[:, -1]]}


def fit_ridge(
    settings: Ridge, train: Rows, val: Rows, shard_path: ShardPath
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Ridge regression for each label, and linear discriminants from the regressed classes.

    Returns tensors coefficient (m, labels), intercept (labels,), class_coefficient (m, classes), class_intercept
    (classes,; -inf for a class without rows), sigma (labels, classes + 1: residual scatter on validation rows by
    predicted class; the last column: all), and facts by label.  NaN for a label without training rows.
    """
    k = train.truth.shape[1]
    classes = list(range(k, k + len(CLASSES)))
    groups = [[j] for j in range(k)] + [classes]
    moments: dict[str, Moments] = {}
    origin: np.ndarray | None = None
    for name, rows in (("train", train), ("val", val)):
        for _, features, block in _blocks(rows, shard_path, settings.bin, f"ridge: {name}"):
            if origin is None:
                origin = features.mean(axis=0, dtype=float)
            if name not in moments:
                moments[name] = Moments(groups, origin)
            moments[name].add(features, np.hstack([block.truth, _one_hot(block.code)]))
    assert origin is not None
    moments.setdefault("val", Moments(groups, origin))
    m = len(origin)
    weights = {
        "coefficient": np.full((m, k), np.nan),
        "intercept": np.full(k, np.nan),
        "class_coefficient": np.zeros((m, len(CLASSES))),
        "class_intercept": np.zeros(len(CLASSES)),
        "sigma": np.full((k, len(CLASSES) + 1), np.nan),
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
    for at, features, block in _blocks(val, shard_path, settings.bin, "ridge: scatter"):
        residuals[at] = features @ weights["coefficient"] + weights["intercept"] - block.truth
        predicted[at] = _classify(features, weights)
    _scatter_by_class(weights["sigma"], residuals, predicted)
    return weights, {
        "alpha": [None if fit is None else fit.alpha for fit in fits[:k]],
        "alpha_chosen_on": [None if fit is None else fit.chosen_on for fit in fits[:k]],
        "val_rmse": [_rms(residuals[:, j]) for j in range(k)],
        "class_accuracy": [float((predicted == val.code).mean()) if len(val) else None] * k,
    }


def scatter(residuals: np.ndarray) -> float:
    """Half-width about zero that holds 68.27 % of the residuals: a standard deviation that outliers do not move."""
    return float(np.quantile(np.abs(residuals), 0.6827))


def _scatter_by_class(sigma: np.ndarray, residuals: np.ndarray, predicted: np.ndarray) -> None:
    """Overwrite, in place, the training scatter where enough validation rows tell better."""
    for j, row in enumerate(sigma):
        known = np.isfinite(residuals[:, j])
        if known.sum() < _MIN_SCATTER:
            continue
        row[:] = scatter(residuals[known, j])
        for c in range(len(CLASSES)):
            mine = known & (predicted == c)
            if mine.sum() >= _MIN_SCATTER:
                row[c] = scatter(residuals[mine, j])


def _rms(residuals: np.ndarray) -> float | None:
    known = residuals[np.isfinite(residuals)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else None


def _one_hot(code: np.ndarray) -> np.ndarray:
    """(n, classes); rows without a class are NaN."""
    hot = (code[:, None] == np.arange(len(CLASSES))).astype(float)
    hot[code < 0] = np.nan
    return hot


def _classify(features: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    return np.argmax(features @ weights["class_coefficient"] + weights["class_intercept"], axis=1)


# ---------------------------------------------------------------- rows and spectra


def _rows(task: Task, sample: pa.Table, labels: pa.Table) -> Rows:
    """The rows of ``sample``, in their order, with shard and labels."""
    obsid, known = sample["obsid"].to_numpy(), labels["obsid"].to_numpy()
    order = np.argsort(known, kind="stable")
    at = order[np.minimum(np.searchsorted(known[order], obsid), max(len(known) - 1, 0))] if len(known) else None
    if at is None or (known[at] != obsid).any():
        if not len(obsid):
            at = np.empty(0, int)
        else:
            first = obsid[0] if at is None else obsid[known[at] != obsid][0]
            raise StarglotError(
                "a spectrum of the sample has no labels", where=f"obsid {first}", todo="snakemake samples"
            )
    chosen = labels.take(pa.array(at))
    truth = [
        chosen[name].to_numpy(zero_copy_only=False).astype(float)
        if name in labels.column_names
        else np.full(len(obsid), np.nan)
        for name in task.labels
    ]
    letters = sample["class"].to_numpy(zero_copy_only=False)
    code = np.array([CLASSES.index(letter) if letter in CLASSES else -1 for letter in letters], int)
    return Rows(obsid, chosen["shard"].to_numpy(zero_copy_only=False), np.stack(truth, axis=1), code)


def _blocks(
    rows: Rows, shard_path: ShardPath, width: int, what: str
) -> Iterator[tuple[np.ndarray, np.ndarray, Rows]]:
    """(positions in ``rows``, float32 features (n, m), rows) shard by shard, in blocks of bounded size."""
    shards, of = np.unique(rows.shard.astype(str), return_inverse=True)
    for number, shard in enumerate(tqdm(shards, what, unit="shard", mininterval=2, disable=len(shards) < 2)):
        mine = np.flatnonzero(of == number)
        flux = read_spectra([shard_path(str(shard))], rows.obsid[mine])
        size = max(1, _MAX_BLOCK // flux.shape[1])
        for first in range(0, len(mine), size):
            at = mine[first : first + size]
            yield at, binned(flux[first : first + size], width), rows.where(at)


def binned(flux: np.ndarray, width: int) -> np.ndarray:
    """Means of ``width`` grid values: int16 flux (n, grid) -> float32 (n, grid // width), normalised flux.

    What is left over at the red end is left out.  Raises StarglotError for a bin wider than the grid.
    """
    m = flux.shape[1] // width
    if m < 1:
        raise StarglotError(f"a bin of {width} values is wider than the grid", allowed=f"1 to {flux.shape[1]}")
    means = flux[:, : m * width].reshape(len(flux), m, width).mean(axis=2, dtype=np.float32)
    return means / np.float32(FLUX_SCALE)


# ---------------------------------------------------------------- files and tables


def _save(weights: dict[str, np.ndarray], about: dict[str, Any], folder: Path) -> None:
    from safetensors.numpy import save_file

    with atomic_path(Path(folder) / WEIGHTS) as partial:
        save_file(
            {name: np.ascontiguousarray(weights[name]) for name in sorted(weights)},
            str(partial),
            metadata={"starglot": json.dumps(about, sort_keys=True)},
        )


def _load(folder: Path, kind: str, task: Task) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / WEIGHTS
    try:
        with safe_open(str(path), framework="numpy") as handle:
            about = json.loads(handle.metadata()["starglot"])
            weights = {name: handle.get_tensor(name) for name in sorted(handle.keys())}
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise StarglotError(
            f"the baseline's weights cannot be read: {error}", where=path, todo="train it first: snakemake train"
        ) from error
    if (about["kind"], about["labels"]) != (kind, list(task.labels)):
        raise StarglotError(
            f"these weights are of a {about['kind']} model for {', '.join(about['labels'])}",
            where=path,
            allowed=f"{kind} for {', '.join(task.labels)}",
            todo="train it again: snakemake train",
        )
    return weights


def _table(
    task: Task,
    sample: pa.Table,
    rows: Rows,
    letters: np.ndarray | None,
    value: np.ndarray,
    sigma: np.ndarray,
    seen: Collection[str] | pa.Array | pa.ChunkedArray,
) -> pa.Table:
    n, k = value.shape
    each = pa.array(np.repeat(np.arange(n), k))
    stars = sample["star_id"].to_pylist()
    known = set(seen.to_pylist() if isinstance(seen, pa.Array | pa.ChunkedArray) else seen)

    def floats(array: np.ndarray) -> pa.Array:
        flat = array.reshape(-1)
        return pa.array(flat, pa.float64(), mask=~np.isfinite(flat))

    answered = np.isfinite(value.reshape(-1))
    columns = {
        "obsid": sample["obsid"].take(each),
        "star_id": sample["star_id"].take(each),
        "class": sample["class"].take(each),
        "class_pred": pa.nulls(n * k, pa.string())
        if letters is None
        else pa.array(np.repeat(letters, k), pa.string()),
        "label": pa.array(list(task.labels) * n, pa.string()),
        "truth": floats(rows.truth),
        "value": floats(value),
        "sigma": pa.nulls(n * k, pa.float64()),
        "sigma_raw": floats(sigma),
        "status": pa.array(np.where(answered, "ok", "not_answered").tolist(), pa.string()),
        "seen": pa.array([star in known for star in stars], pa.bool_()).take(each),
    }
    return pa.table(columns).cast(PREDICTION).combine_chunks()
