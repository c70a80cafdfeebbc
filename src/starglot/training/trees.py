"""Training of gradient-boosted trees: one binned data set, a model for the class and for each label on it.

A killed training goes on with the first model that was not finished.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from starglot.config.kinds.baselines import LightGbm
from starglot.hashing import stable_hash
from starglot.models.baselines.features import prepared
from starglot.models.baselines.files import save
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import accuracy, held_out_scatter, rms
from starglot.models.baselines.trees import CLASS, library, load_trees, tree_file, values_and_classes
from starglot.spectra.sample_flux import Bins
from starglot.store import newest_good, prune, seal
from starglot.tables import write_text
from starglot.training.baselines import Fitted, Work, split_bins
from starglot.training.begun import note_length

log = logging.getLogger(__name__)

#: Fewest validation spectra that stop a training early.
_LEAST = 20
#: Spectra that are prepared together, and from which the bins of the features are made.
_BLOCK, _SAMPLED = 2048, 50_000


def fit_trees(work: Work) -> Fitted:
    """Train all models, measure the scatter; writes a text file of trees for each, and ``baseline.safetensors``.

    The same bytes for any number of threads.  A label that no training spectrum has gets no trees.
    """
    # ---- set up
    settings: LightGbm = work.settings
    lightgbm = library()
    drawn = _drawn(work.train, settings)
    train = work.train.where(drawn)
    rows = {"train": train, "val": work.val}
    bins = dict(zip(rows, split_bins(work, drawn), strict=True))
    data = lightgbm.Dataset(_sequence(bins["train"], settings), params=_parameters(settings)).construct()
    held_out = None
    if len(work.val):
        held_out = data.create_valid(_sequence(bins["val"], settings), params=data.params).construct()
    classes = [group for group in range(len(train.groups)) if (train.group == group).any()]

    # ---- train
    trees = _Checkpoints(work.checkpoints)
    names = [*work.task.labels, CLASS]
    note_length(work.checkpoints.parent, len(names), "models")
    with tqdm(total=len(names), desc=f"lightgbm, {work.task.question.form}", unit=" models", mininterval=2) as bar:
        for name in names:
            target = {part: _target(those, name, work.task.labels, classes) for part, those in rows.items()}
            enough = np.isfinite(target["train"]).sum() >= 2 and (name != CLASS or len(classes) > 1)
            if enough and name not in trees.done:
                trees.add(name, _train(settings, name, len(classes), data, held_out, target))
            bar.update(1)

    # ---- measure
    boosters = trees.load(names)
    rounds = {name: booster.current_iteration() for name, booster in boosters.items()}
    fitted = {part: np.full((len(those), len(work.task.labels)), np.nan) for part, those in rows.items()}
    predicted = {part: np.full(len(those), -1) for part, those in rows.items()}
    for part, those in bins.items():
        for first in range(0, len(those), _BLOCK):
            block = np.arange(first, min(first + _BLOCK, len(those)))
            features = prepared(those[block], settings)
            found = values_and_classes(boosters, work.task, classes, features)
            fitted[part][block], predicted[part][block], _ = found
    residuals = fitted["val"] - work.val.truth
    sigma = held_out_scatter(fitted["train"] - train.truth, residuals, predicted["val"], len(train.groups))

    # ---- save
    for name in boosters:
        shutil.copyfile(trees.folder / tree_file(name), work.made / tree_file(name))
    save({"sigma": sigma}, settings.kind, work.task, work.made, classes=classes, bin=settings.bin)
    return Fitted(
        counts={"used": len(train), "trees": sum(booster.num_trees() for booster in boosters.values())},
        metrics={"val_class_accuracy": accuracy(predicted["val"], work.val.group)},
        by_label={
            "rounds": [rounds.get(name, 0) for name in work.task.labels],
            "val_rmse": [rms(residuals[:, j]) for j in range(len(work.task.labels))],
        },
    )


class _Checkpoints:
    """The models finished so far: a folder for each number of them, holding all of them."""

    def __init__(self, root: Path):
        self.root = root
        found = newest_good(root)
        if found:
            log.info("continuing from %s", found)
        self.folder = found or root / "checkpoint-0"
        self.done = {p.name[len("trees-") : -len(".txt")] for p in self.folder.glob("trees-*.txt")}

    def add(self, name: str, text: str) -> None:
        """Keep one more model."""
        folder = self.root / f"checkpoint-{len(self.done) + 1}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for old in self.done:
            shutil.copyfile(self.folder / tree_file(old), folder / tree_file(old))
        write_text(text, folder / tree_file(name))
        seal(folder)
        prune(self.root)
        self.folder = folder
        self.done.add(name)

    def load(self, names: list[str]) -> dict[str, Any]:
        """The finished models."""
        return load_trees(self.folder, names)


def _train(
    settings: LightGbm, name: str, classes: int, data: Any, held_out: Any, target: dict[str, np.ndarray]
) -> str:
    """The trees of one label or of the class, as LightGBM's text."""
    lightgbm = library()
    parameters = _parameters(settings)
    if name == CLASS:
        parameters |= {"objective": "multiclass", "num_class": classes}
    known = {part: np.flatnonzero(np.isfinite(values)) for part, values in target.items()}

    def of(whole: Any, part: str) -> Any:
        # Built before it gets its label: the rows of a set without labels bring zeros with them.
        return whole.subset(known[part], parameters).construct().set_label(target[part][known[part]])

    training = of(data, "train")
    stops = settings.stop_after is not None and held_out is not None and len(known["val"]) >= _LEAST
    booster = lightgbm.train(
        parameters,
        training,
        num_boost_round=settings.rounds,
        valid_sets=[of(held_out, "val")] if stops else None,
        callbacks=[lightgbm.early_stopping(settings.stop_after, verbose=False)] if stops else None,
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration if stops else None)
    return re.sub(r"\[num_threads: .*\]\n", "", text)  # the one line that says where it was trained


def _parameters(settings: LightGbm) -> dict[str, Any]:
    return {
        "objective": "regression",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_leaf,
        "feature_fraction": settings.features,
        "bin_construct_sample_cnt": _SAMPLED,
        "feature_pre_filter": False,
        "deterministic": True,
        "force_col_wise": True,
        "seed": settings.seed,
        "verbosity": -1,
    }


def _drawn(train: Rows, settings: LightGbm) -> np.ndarray:
    """Numbers of the training spectra that are used: all, or so many by a hash of their obsid."""
    if settings.rows is None or len(train) <= settings.rows:
        return np.arange(len(train))
    order = np.argsort(stable_hash(train.obsid.tolist(), f"{settings.seed}/lightgbm"), kind="stable")
    return np.sort(order[: settings.rows])


def _target(rows: Rows, name: str, labels: list[str], classes: list[int]) -> np.ndarray:
    """(n,) values of a label, or places of the class in ``classes``; NaN where missing."""
    if name != CLASS:
        return rows.truth[:, labels.index(name)]
    places = {group: float(place) for place, group in enumerate(classes)}
    return np.array([places.get(group, np.nan) for group in rows.group.tolist()])


def _sequence(bins: Bins, settings: LightGbm) -> Any:
    """The features as LightGBM takes them block by block, so that they are never in memory as numbers."""
    sequence: Any = library().Sequence

    class Features(sequence):  # type: ignore[misc]
        batch_size = _BLOCK

        def __len__(self) -> int:
            return len(bins)

        def __getitem__(self, chosen: Any) -> np.ndarray:
            if isinstance(chosen, slice):
                numbers = np.arange(*chosen.indices(len(bins)))
            else:
                numbers = np.atleast_1d(np.asarray(chosen))
            out = prepared(bins[numbers], settings).astype(np.float64)
            return out[0] if np.isscalar(chosen) else out

    return Features()
