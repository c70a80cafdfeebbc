"""The points of a scaling sweep: sigma of models of several sizes and seeds on one test set, and its noise."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import resampled_robust_scatter, robust_scatter, star_resamples

#: With fewer stars an interval says nothing.
_LEAST_STARS = 10


def _rmse(residuals: np.ndarray) -> float:
    return float(np.sqrt(np.mean(residuals**2)))


#: Sigma of residuals (n,), by its name in `scaling: statistic`.
_SIGMA = {"robust": robust_scatter, "rmse": _rmse}


@dataclass(frozen=True)
class Trained:
    """One model of the sweep: its name and size, raw predictions of the common test set, and its manifest.

    n_train: spectra of the training split of its sample.
    """

    model: str
    size: str
    predictions: str
    manifest: Mapping[str, Any]
    n_train: int

    @property
    def key(self) -> tuple[str, str]:
        """Name and size."""
        return self.model, self.size


@dataclass(frozen=True)
class Point:
    """Sigma of one model at one size (all seeds), and its bootstrap copies (replicates,)."""

    trained: list[Trained]
    sigma: float
    copies: np.ndarray
    by_seed: np.ndarray
    n: int
    n_stars: int
    answered: float
    rmse: float
    robust: float

    @property
    def n_train(self) -> int:
        """Spectra that the models learnt from."""
        return self.trained[0].n_train

    @property
    def examples(self) -> float:
        """Spectra that a training saw, with repetitions, on average over the seeds; NaN where it is not counted."""
        return float(np.mean([count_of(one, "examples") for one in self.trained]))


def count_of(one: Trained, name: str) -> float:
    """A number among the counts of a model's manifest; NaN where it is not counted."""
    found = one.manifest.get("counts", {}).get(name)
    return float("nan") if found is None else float(found)


def require_one_test_set(tables: dict[tuple[str, str], pa.Table]) -> None:
    """Raise StarglotError where tables are not of the same spectra, or hold a star that a model has learnt from."""
    first, expected = None, None
    for key, table in tables.items():
        if pc.any(pc.fill_null(table["seen"], False)).as_py():
            raise StarglotError(
                "the common test set holds stars that a model was trained on",
                where=" at size ".join(key),
                todo="split and seed are the same for all sizes: predict anew",
            )
        spectra = np.unique(table["obsid"].to_numpy())
        if expected is None:
            first, expected = key, spectra
        elif not np.array_equal(spectra, expected):
            raise StarglotError(
                f"a model was tried on {len(spectra)} spectra that are not the {len(expected)} of "
                f"{' at size '.join(first or ())}",
                where=" at size ".join(key),
                todo="remove both prediction tables and run snakemake scaling",
            )


def points_of(
    own: dict[tuple[float, str], list[Trained]],
    tables: dict[tuple[str, str], pa.Table],
    label: str,
    statistic: str,
    replicates: int,
    seed: int,
) -> dict[tuple[float, str], Point] | str:
    """Sigma by passes and size, on the spectra that every one of the models answers; or why there is none."""
    judgeable = {key: judged(tables[key], label) for key in (one.key for each in own.values() for one in each)}
    spoilt = sum(rows.spoilt for rows in judgeable.values())
    if spoilt:
        return f"{spoilt} rows with NaN, infinite or negative values"
    common = reduce(np.intersect1d, [rows.obsid for rows in judgeable.values()])
    first, *_ = (rows.where(np.isin(rows.obsid, common)) for rows in judgeable.values())
    stars, star = np.unique(first.star, return_inverse=True)
    if len(stars) < _LEAST_STARS:
        return f"{len(stars)} stars are answered by all models; an interval needs {_LEAST_STARS}"
    residuals = {key: rows.where(np.isin(rows.obsid, common)).residual for key, rows in judgeable.items()}
    true = {
        key: pc.sum(pc.and_(pc.equal(tables[key]["label"], label), pc.is_valid(tables[key]["truth"])))
        for key in judgeable
    }
    copies = _resampled(residuals, star, statistic, replicates, seed)
    by_seed = {
        where: np.array([_SIGMA[statistic](residuals[one.key]) for one in each]) for where, each in own.items()
    }
    noise = _seed_noise(list(by_seed.values()))
    found = {}
    for where, trained in own.items():
        values = by_seed[where]
        # Drawn by the values: trainings with one outcome (stopped before the passes ran out) have the same copies.
        draws = np.random.default_rng([seed, zlib.crc32(values.tobytes())])
        jitter = draws.normal(size=replicates) * noise / math.sqrt(len(values))
        mean = np.mean([copies[one.key] for one in trained], axis=0)
        found[where] = Point(
            trained,
            sigma=float(values.mean()),
            # Few seeds: a normal draw may reach below 0, which no spread does.
            copies=mean * np.maximum(1 + jitter, 0.05),
            by_seed=values,
            n=len(common),
            n_stars=len(stars),
            answered=float(np.mean([len(judgeable[one.key]) / true[one.key].as_py() for one in trained])),
            rmse=float(np.mean([_rmse(residuals[one.key]) for one in trained])),
            robust=float(np.mean([robust_scatter(residuals[one.key]) for one in trained])),
        )
    return found


def _resampled(
    residuals: dict[tuple[str, str], np.ndarray], star: np.ndarray, statistic: str, replicates: int, seed: int
) -> dict[tuple[str, str], np.ndarray]:
    """Sigma of each model in every bootstrap sample of the stars, the same samples for all."""
    parts: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    for counts in star_resamples(int(star.max()) + 1, replicates, seed, len(star)):
        weights = counts[:, star]
        for key, residual in residuals.items():
            if statistic == "robust":
                parts[key].append(resampled_robust_scatter(residual, weights))
            else:
                parts[key].append(np.sqrt(weights @ residual**2 / weights.sum(axis=1)))
    return {key: np.concatenate(each) for key, each in parts.items()}


def _seed_noise(by_seed: list[np.ndarray]) -> float:
    """Relative scatter of sigma between seeds, pooled over the points that have several; 0 where none has."""
    several = [values for values in by_seed if len(values) > 1]
    if not several:
        return 0.0
    squares = sum(float(np.sum((values / values.mean() - 1) ** 2)) for values in several)
    return math.sqrt(squares / sum(len(values) - 1 for values in several))
