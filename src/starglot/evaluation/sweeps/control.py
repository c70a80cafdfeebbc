"""What pre-training brings: a language model against controls that have learnt less beforehand, or nothing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.config.names import read_name
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import interval, star_resamples
from starglot.evaluation.sweeps.points import Trained, count_of, require_one_test_set

COLUMNS: tuple[str, ...] = (
    *("task", "model", "control", "label", "size", "n_train", "examples", "seeds", "n", "n_stars"),
    *("r2", "r2_control", "difference", "difference_lo", "difference_hi", "difference_scatter", "interval"),
)

NOTES: tuple[str, ...] = (
    "Model and control have the same settings, data, steps and seeds; what was learnt beforehand differs: weights "
    "under the adapters, or the encoder beside the patches. "
    "R2: mean over the seeds, on spectra that all of them answer. Difference: the model's R2 less the control's; "
    "above 0 pre-training helps.",
    "Intervals: bootstrap over the test stars, the same for both, and the scatter of the difference between seeds, "
    "where there are several. Which spectra make up a sample is not in them.",
)


def control_table(
    models: Iterable[Trained],
    pairs: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    *,
    task: str,
    level: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """A row of COLUMNS for each model, control, label and size.

    models: of all seeds and sizes, tried on the same stars; pairs: model -> its controls.
    Raises StarglotError when test sets differ, or hold a star that a model was trained on.
    """
    own: dict[tuple[str, str], dict[int | None, Trained]] = defaultdict(dict)
    for one in models:
        said = read_name(one.model)
        if said.passes is None:
            own[said.model, one.size][said.seed] = one
    tables = {one.key: read_predictions(one.predictions) for each in own.values() for one in each.values()}
    require_one_test_set(tables)
    rows = []
    for model, controls in pairs.items():
        for control in controls:
            for size in dict.fromkeys(size for name, size in own if name == model):
                here, there = own[model, size], own[control, size]
                seeds = sorted(here.keys() & there.keys(), key=lambda given: -1 if given is None else given)
                trained = [(here[each], there[each]) for each in seeds]
                head = {"task": task, "model": model, "control": control, "size": size, "seeds": len(seeds)}
                head |= {"n_train": trained[0][0].n_train, "examples": round(count_of(trained[0][0], "examples"))}
                both = [(tables[one.key], tables[other.key]) for one, other in trained]
                rows += [
                    {**head, "label": label, "interval": level, **_compared(both, label, level, replicates, seed)}
                    for label in labels
                ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _compared(
    both: Sequence[tuple[pa.Table, pa.Table]], label: str, level: float, replicates: int, seed: int
) -> dict[str, float]:
    held = [[judged(table, label) for table in pair] for pair in both]
    common = reduce(np.intersect1d, [one.obsid for pair in held for one in pair])
    held = [[one.where(np.isin(one.obsid, common)) for one in pair] for pair in held]
    first = held[0][0]
    stars, star = np.unique(first.star, return_inverse=True)
    counts: dict[str, float] = {"n": len(common), "n_stars": len(stars)}
    if len(stars) < 2:
        return counts
    squares = np.array([[one.residual**2 for one in pair] for pair in held])  # (seeds, 2, n)
    r2 = _r2(squares, first.truth, np.ones((1, len(first.truth))))[..., 0]
    difference = r2[:, 0] - r2[:, 1]
    copies = np.concatenate(
        [
            _r2(squares, first.truth, weights[:, star].astype(float)).mean(axis=0)
            for weights in star_resamples(len(stars), replicates, seed, len(star))
        ],
        axis=1,
    )
    scatter = float(difference.std(ddof=1)) if len(difference) > 1 else math.nan
    jitter = np.random.default_rng(seed).normal(size=replicates) * np.nan_to_num(scatter) / math.sqrt(len(difference))
    low, high = interval(copies[0] - copies[1] + jitter, level)
    return {
        **counts,
        "r2": float(r2[:, 0].mean()),
        "r2_control": float(r2[:, 1].mean()),
        "difference": float(difference.mean()),
        "difference_lo": low,
        "difference_hi": high,
        "difference_scatter": scatter,
    }


def _r2(squares: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(..., copies) R2 of squared residuals (..., n), each taken ``weights`` (copies, n) times."""
    total = weights.sum(axis=1)
    mean = weights @ truth / total
    spread = weights @ truth**2 / total - mean**2
    found: np.ndarray = 1 - (squares @ weights.T / total) / spread
    return found
