"""Several models' predictions as one: weights by label from validation stars, the class by a weighted vote.

Nothing is read but raw prediction tables, so any model can be a member.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.kinds.baselines import Ensemble
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.models.baselines.scatter import rms, scatter
from starglot.models.class_probability import fit_odds, log_odds, probability
from starglot.models.predictions import Predicted, prediction_table

#: Fewest validation rows, answered by all members, from which weights are fitted; below, members count the same.
_LEAST = 20
#: A pull beyond this counts as this in the correlation of members' errors.
_WILD = 5.0


@dataclass(frozen=True)
class Answers:
    """Members' rows of one label: value, sigma (members, n), NaN where there is none; truth (n,)."""

    value: np.ndarray
    sigma: np.ndarray
    truth: np.ndarray


def fit_ensemble(settings: Ensemble, task: Task, tables: Sequence[pa.Table]) -> dict[str, Any]:
    """What a manifest says of the weights: by label, and of the class; JSON-able.

    tables: raw predictions of validation stars, one table a member, of the same spectra.  By label: weight, scatter
    (of the residuals) and sigma_scale (of the pulls) of each member, correlation of their errors, n, val_rmse.  Of
    the class: each member's vote, and how its log-odds become probabilities.
    Raises StarglotError when the tables are not of the same spectra.
    """
    tables = _aligned(settings, tables)
    fits = {name: _fit(_answers(tables, name), settings) for name in task.labels}
    return {
        "members": settings.members,
        "labels": fits,
        "class": dict(zip(settings.members, _votes(tables, len(task.sample.group_names)), strict=True)),
        "class_odds": dict(zip(settings.members, map(_scale_of_odds, tables), strict=True)),
    }


def combine(settings: Ensemble, task: Task, fitted: Mapping[str, Any], tables: Sequence[pa.Table]) -> pa.Table:
    """Raw predictions (``tables.PREDICTION``) of the ensemble; fitted: of :func:`fit_ensemble`.

    A member without a value for a row is left out there; a row that no member answers keeps the first one's status.
    """
    tables = _aligned(settings, tables)
    first = tables[0]
    names = first["label"].to_numpy(zero_copy_only=False)
    value, sigma = np.full(len(first), np.nan), np.full(len(first), np.nan)
    for name in task.labels:
        at = np.flatnonzero(names == name)
        value[at], sigma[at] = _combined(_answers(tables, name), fitted["labels"][name], settings)
    answered = np.isfinite(value)
    votes = {member: fitted["class"][member] for member in settings.members}
    letter = _elected(tables, list(votes.values()))
    predicted = Predicted(
        value,
        sigma,
        status=pc.if_else(pa.array(answered), "ok", first["status"]),
        letter=letter,
        log_odds=_agreed(tables, votes, fitted.get("class_odds"), letter, len(task.sample.group_names)),
    )
    k = len(task.labels)
    seen = np.any([table["seen"].to_numpy(zero_copy_only=False) for table in tables], axis=0)
    truth = first["truth"].to_numpy(zero_copy_only=False).astype(float).reshape(-1, k)
    return prediction_table(first[::k], sorted(task.labels), truth, predicted, pa.array(seen[::k], pa.bool_()))


def best_weights(errors: np.ndarray) -> np.ndarray:
    """Weights (members,), none negative, sum 1, with the least mean squared error of the weighted residuals.

    errors: residuals (members, n).  Of every group of members the best weights are S^-1 1 / (1' S^-1 1), with S the
    mean products of their residuals (Bates and Granger 1969, not centred); the best group without negatives is taken.
    """
    members = len(errors)
    products = errors @ errors.T / errors.shape[1]
    best, least = np.full(members, 1 / members), np.inf
    for size in range(1, members + 1):
        for group in combinations(range(members), size):
            part = products[np.ix_(group, group)]
            weights = np.linalg.pinv(part, hermitian=True).sum(axis=1)
            if not weights.sum() > 0 or (weights < 0).any():
                continue
            weights = weights / weights.sum()
            error = float(weights @ part @ weights)
            if error < least:
                best, least = np.zeros(members), error
                best[list(group)] = weights
    return best


def _fit(answers: Answers, settings: Ensemble) -> dict[str, Any]:
    members = len(settings.members)
    residuals = answers.value - answers.truth
    known = np.isfinite(residuals).all(axis=0)
    n = int(known.sum())
    spread: list[float | None] = [None] * members
    scale, correlation, weight = np.ones(members), np.eye(members), np.full(members, 1 / members)
    if n >= _LEAST:
        common = residuals[:, known]
        spread = [scatter(row) for row in common]
        weight = best_weights(common)
        sigma = _usable(answers.sigma[:, known], spread)
        scale = np.array([scatter(row) for row in common / sigma])
        pulls = np.clip(common / sigma / np.maximum(scale, 1e-12)[:, None], -_WILD, _WILD)
        length = np.sqrt((pulls**2).sum(axis=1))
        correlation = np.clip(pulls @ pulls.T / np.maximum(np.outer(length, length), 1e-12), -1, 1)
        np.fill_diagonal(correlation, 1.0)
    fit = {"weight": weight.tolist(), "scatter": spread, "sigma_scale": scale.tolist()}
    value, _ = _combined(answers, {**fit, "correlation": correlation.tolist()}, settings)
    return {**fit, "correlation": correlation.tolist(), "n": n, "val_rmse": rms(value - answers.truth)}


def _combined(answers: Answers, fit: Mapping[str, Any], settings: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Values and raw uncertainties (n,)."""
    there = np.isfinite(answers.value)
    sigma = _usable(answers.sigma, fit["scatter"]) * np.asarray(fit["sigma_scale"])[:, None]
    if settings.weights == "fitted":
        weight = np.where(there, np.asarray(fit["weight"])[:, None], 0.0)
        alone = there.any(axis=0) & (weight.sum(axis=0) == 0)  # only members of weight 0 have answered
        weight = np.where(alone, there.astype(float), weight)
    else:
        weight = np.where(there & np.isfinite(sigma), 1 / sigma**2, 0.0)
        weight = np.where(there.any(axis=0) & (weight.sum(axis=0) == 0), there.astype(float), weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = weight / weight.sum(axis=0)
    value = np.where(there, weight * np.where(there, answers.value, 0.0), 0.0).sum(axis=0)
    part = np.where(weight > 0, weight * sigma, 0.0)
    variance = np.einsum("in,ij,jn->n", part, np.asarray(fit["correlation"]), part)
    none = ~there.any(axis=0)
    return np.where(none, np.nan, value), np.where(none, np.nan, np.sqrt(np.maximum(variance, 0.0)))


def _usable(sigma: np.ndarray, spread: Sequence[float | None]) -> np.ndarray:
    """Uncertainties (members, n); where a member gives none, the scatter of its residuals."""
    own = np.array([np.nan if value is None else value for value in spread], float)[:, None]
    return np.where(np.isfinite(sigma) & (sigma > 0), sigma, own)


def _votes(tables: Sequence[pa.Table], groups: int) -> list[float]:
    """Weight of each member's vote: log odds of its class being right, over guessing; 0 where it tells none."""
    weights = []
    for table in tables:
        letters, true = (table[name].to_numpy(zero_copy_only=False) for name in ("class_pred", "class"))
        known = np.array([letter is not None for letter in letters], bool)
        n = int(known.sum())
        right = min(max((letters[known] == true[known]).mean() if n else 0.0, 0.5 / max(n, 1)), 1 - 0.5 / max(n, 1))
        weights.append(max(float(np.log((groups - 1) * right / (1 - right))), 0.0) if n else 0.0)
    return weights


def _scale_of_odds(table: pa.Table) -> dict[str, float]:
    """How a member's log-odds become probabilities; every row of a spectrum tells its class, one of them counts."""
    one = table.take(pa.array(np.unique(table["obsid"].to_numpy(), return_index=True)[1]))
    odds = _column(one, "class_log_odds")
    right = np.asarray(one["class_pred"].to_pylist(), object) == np.asarray(one["class"].to_pylist(), object)
    known = np.isfinite(odds) & pc.is_valid(one["class"]).to_numpy(zero_copy_only=False)
    return fit_odds(odds[known], right[known].astype(float))


def _elected(tables: Sequence[pa.Table], votes: Sequence[float]) -> pa.Array:
    """The class with most votes in each row, the earlier member's where votes are equal; null where none voted."""
    elected = []
    for letters in zip(*(table["class_pred"].to_pylist() for table in tables), strict=True):
        heard: dict[str, float] = defaultdict(float)
        for letter, vote in zip(letters, votes, strict=True):
            if letter is not None:
                heard[letter] += vote
        elected.append(max(heard, key=lambda letter: heard[letter]) if heard else None)
    return pa.array(elected, pa.string())


def _agreed(
    tables: Sequence[pa.Table],
    votes: Mapping[str, float],
    scales: Mapping[str, Any] | None,
    letter: pa.Array,
    groups: int,
) -> np.ndarray:
    """Log-odds (n,) of the elected class: of the mean of members' probabilities, weighted as their votes.

    A member that tells another class leaves the rest of its probability to the others, in equal parts.  NaN where no
    member with a vote states any.  scales: by member, of log-odds; None of an ensemble that was fitted before there
    were any.
    """
    elected = np.asarray(letter.to_pylist(), object)
    total, weight = np.zeros(len(elected)), np.zeros(len(elected))
    if scales is None:
        return np.full(len(elected), np.nan)
    for table, (member, vote) in zip(tables, votes.items(), strict=True):
        stated = probability(_column(table, "class_log_odds"), scales[member])
        same = np.asarray(table["class_pred"].to_pylist(), object) == elected
        known = np.isfinite(stated)
        mine = np.where(same, stated, (1 - stated) / max(groups - 1, 1))
        total += np.where(known, vote * mine, 0.0)
        weight += np.where(known, vote, 0.0)
    return log_odds(np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan))


def _column(table: pa.Table, name: str) -> np.ndarray:
    """Floats, NaN where null."""
    return np.asarray(table[name].to_numpy(zero_copy_only=False), float)


def _answers(tables: Sequence[pa.Table], label: str) -> Answers:
    mine = [table.filter(pc.equal(table["label"], label)) for table in tables]
    value, sigma = (
        np.stack([table[name].to_numpy(zero_copy_only=False).astype(float) for table in mine])
        for name in ("value", "sigma_raw")
    )
    return Answers(value, sigma, mine[0]["truth"].to_numpy(zero_copy_only=False).astype(float))


def _aligned(settings: Ensemble, tables: Sequence[pa.Table]) -> list[pa.Table]:
    """The tables with their rows in one order.  Raises StarglotError when they are not of the same rows."""
    ordered = [table.sort_by([("obsid", "ascending"), ("label", "ascending")]) for table in tables]
    for member, table in zip(settings.members, ordered, strict=True):
        if not all(table[name].equals(ordered[0][name]) for name in ("obsid", "label")):
            raise StarglotError(
                f"the predictions of '{member}' are not of the same spectra and labels as those of "
                f"'{settings.members[0]}'",
                where="models: members",
                todo="predict with both members again: snakemake predict",
            )
    return ordered
