"""Gradient-boosted trees (LightGBM): a text file of trees for the class, and one for each label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from starglot.config.kinds.baselines import LightGbm
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.models.baselines.features import prepared
from starglot.models.baselines.files import load
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows
from starglot.models.class_probability import log_odds
from starglot.spectra.rebin import binned
from starglot.spectra.sample_flux import ShardPath, blocks

if TYPE_CHECKING:
    from lightgbm import Booster

#: The name, beside the labels, of the trees that tell the class.
CLASS = "class"


def library() -> Any:
    """LightGBM, which needs the system's OpenMP library.  Raises StarglotError where that is not there."""
    try:
        import lightgbm
    except OSError as error:
        raise StarglotError(
            f"LightGBM cannot be loaded: {error}",
            where="models of kind lightgbm",
            todo="install the OpenMP runtime (Debian and Ubuntu: apt install libgomp1; conda: libgomp)",
        ) from error
    return lightgbm


def tree_file(name: str) -> str:
    """File of the trees for a label or for the class."""
    return f"trees-{name}.txt"


def load_trees(folder: Path, names: list[str]) -> dict[str, Booster]:
    """The trees there are of ``names``.  Raises StarglotError for a file that is none of trees."""
    lightgbm = library()
    found = {}
    for name in names:
        path = Path(folder) / tree_file(name)
        if path.is_file():
            try:
                found[name] = lightgbm.Booster(model_file=str(path))
            except lightgbm.basic.LightGBMError as error:
                raise StarglotError(
                    f"these trees cannot be read: {error}", where=path, todo="train again: snakemake train"
                ) from error
    return found


def values_and_classes(
    trees: Mapping[str, Booster], task: Task, classes: list[int], features: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (n, labels), NaN for a label without trees; codes (n,) of the class, of ``classes``, and its log-odds
    (n,), those of certainty where training has only one."""
    value = np.full((len(features), len(task.labels)), np.nan)
    for j, name in enumerate(task.labels):
        if name in trees:
            value[:, j] = trees[name].predict(features)
    if CLASS in trees:
        chance = np.asarray(trees[CLASS].predict(features))
        return value, np.asarray(classes)[chance.argmax(axis=1)], log_odds(chance.max(axis=1))
    return value, np.full(len(features), classes[0] if classes else -1), log_odds(np.ones(len(features)))


def read_trees(settings: LightGbm, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """Values, scatter of the predicted class, and the class, shard by shard."""
    tensors, about = load(folder, settings.kind, task)
    trees = load_trees(folder, [*task.labels, CLASS])
    value = np.full((len(rows), len(task.labels)), np.nan)
    predicted, odds = np.full(len(rows), -1), np.full(len(rows), np.nan)
    for at, flux in blocks(rows, shard_path, "predict"):
        features = prepared(binned(flux, settings.bin), settings)
        value[at], predicted[at], odds[at] = values_and_classes(trees, task, about["classes"], features)
    return Answer(value, tensors["sigma"].T[predicted], predicted, odds)
