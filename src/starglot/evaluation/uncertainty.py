"""Are the uncertainties right?  Pulls, PIT, coverage and CRPS of predictions read as normal distributions.

A prediction is N(value, sigma).  Pull: (truth - value) / sigma, standard normal if sigma is right.  PIT: the normal
distribution function at the pull, uniform if sigma is right.  CRPS: the continuous ranked probability score in the
label's unit (Gneiting & Raftery 2007, eq. 21 for the normal distribution); it rewards being sharp and right at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import ndtr

from starglot.evaluation.cells import COVERAGES, LEAST_STARS
from starglot.evaluation.residuals import ALL
from starglot.evaluation.rows import Judged, each_judged, spoilt_note, values_of
from starglot.evaluation.statistics import interval, normal_half_width, robust_scatter, star_resamples
from starglot.tables import read_json

#: Edges of the bins of S/N (r band, per pixel).
SNR_EDGES: tuple[float, ...] = (0.0, 10.0, 20.0, 50.0, 100.0, np.inf)

#: What 68 % intervals should cover for each label with at least so many test stars.
SHOULD_COVER, COVERED_STARS = (0.64, 0.72), 200

#: Estimates with an interval.
_RESAMPLED = ("pull_mean", "pull_std", "coverage_68", "coverage_95", "crps")
COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "set", "label", "part", "n", "n_stars", "n_val_stars"),
    *(f"{name}{end}" for name in _RESAMPLED for end in ("", "_lo", "_hi")),
    *("pull_robust", "pit_distance", "interval", "note"),
)


def crps(pull: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """CRPS of N(value, sigma) at the truth, in the unit of sigma; pull = (truth - value) / sigma."""
    density = np.exp(-(pull**2) / 2.0) / np.sqrt(2.0 * np.pi)
    score: np.ndarray = sigma * (pull * (2.0 * ndtr(pull) - 1.0) + 2.0 * density - 1.0 / np.sqrt(np.pi))
    return score


def pit(pull: np.ndarray) -> np.ndarray:
    """Probability integral transform of the truth under N(value, sigma)."""
    below: np.ndarray = ndtr(pull)
    return below


def uniform_distance(values: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of ``values`` (n,) in [0, 1] from the uniform distribution; NaN if empty."""
    if len(values) == 0:
        return float("nan")
    ranked, n = np.sort(values), len(values)
    above = np.arange(1, n + 1) / n - ranked
    return float(max(above.max(), (ranked - np.arange(n) / n).max()))


def parts(rows: Judged, snr: np.ndarray, groups: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and members of the parts that are judged on their own: all, groups, bins of S/N (r band)."""
    yield ALL, np.ones(len(rows), bool)
    for letter in groups:
        yield letter, rows.letter == letter
    for low, high in pairwise(SNR_EDGES):
        name = f"S/N {low:g}-{high:g}" if np.isfinite(high) else f"S/N > {low:g}"
        yield name, (snr >= low) & (snr < high)


def calibration_table(
    predictions: Mapping[tuple[str, str, str], Path],
    labels: Sequence[str],
    facts: pa.Table,
    *,
    task: str,
    groups: Sequence[str],
    calibrations: Mapping[tuple[str, str, str], Path],
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """How well sigma describes the errors, by (model, size, set), label, class and S/N.

    predictions: prediction tables by (model, size, set), calibrations: the JSON beside each, of ``calibrate``; facts:
    obsid and snr_r.  Intervals are bootstraps over stars; ``n_val_stars`` counts the validation stars of the label.
    A label with NaN or infinite values is marked and has no numbers; parts without a spectrum are left out.
    """
    fitted = {keys: read_json(path)["labels"] for keys, path in calibrations.items()}
    records: list[dict[str, object]] = []
    for keys, every in each_judged(predictions, labels, task):
        rows = every.where(np.isfinite(every.sigma))
        if rows.spoilt:
            records.append({**keys, "part": ALL, "n": 0, "n_stars": 0, "note": spoilt_note(rows)})
            continue
        for part, members in parts(rows, values_of(facts, "snr_r", rows.obsid), groups):
            if members.any():
                found = _row(rows.where(members), level, replicates, seed)
                of_label = fitted[keys["model"], keys["size"], keys["set"]][keys["label"]]
                found["n_val_stars"] = of_label["validation"]["n_stars"]
                records.append({**keys, "part": part, **found, "interval": level})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def coverage_notes(frame: pd.DataFrame) -> list[str]:
    """How many labels of each model cover what is asked, and how many would by chance; nothing where stars are few.

    frame: of :func:`calibration_table`, or its rows of all spectra together.  The coverage of n stars, by a scale
    with which m validation stars are covered as promised, has a variance of p (1 - p) (1 / n + 1 / m) around p.
    """
    rows = frame[frame["part"] == ALL] if "part" in frame.columns else frame
    rows = rows[(rows["n_stars"] >= COVERED_STARS) & (rows["n_val_stars"] > 0) & rows["coverage_68"].notna()]
    if rows.empty:
        return []
    low, high = SHOULD_COVER
    promised = COVERAGES["coverage_68"]
    error = np.sqrt(promised * (1 - promised) * (1 / rows["n_stars"] + 1 / rows["n_val_stars"]))
    rows = rows.assign(
        inside=rows["coverage_68"].between(low, high),
        by_chance=ndtr((high - promised) / error) - ndtr((low - promised) / error),
    )
    models = rows.groupby(["model", "size", "set"], sort=False)[["inside", "by_chance"]]
    sizes = rows["size"].nunique() > 1
    said = [
        f"{model}{f' ({size})' if sizes else ''} {int(of['inside'].sum())} of {len(of)}"
        for (model, size, _), of in models
    ]
    expected = sorted(round(total) for total in models.sum()["by_chance"])
    return [
        f"Of labels with at least {COVERED_STARS} test stars, so many have 68 % intervals that cover {100 * low:g} "
        f"to {100 * high:g} %: {', '.join(said)}. With right sigmas, and the chance of so few test and "
        f"validation stars, it would be {' to '.join(dict.fromkeys((str(expected[0]), str(expected[-1]))))}."
    ]


def _row(rows: Judged, level: float, replicates: int, seed: int) -> dict[str, object]:
    pull = -rows.error / rows.sigma
    stars, star = np.unique(rows.star, return_inverse=True)
    columns = [np.ones(len(rows)), pull, pull**2, crps(pull, rows.sigma)]
    columns += [np.abs(pull) <= normal_half_width(probability) for probability in COVERAGES.values()]
    sums = np.stack([np.bincount(star, weights=c, minlength=len(stars)) for c in columns], axis=1)

    def estimates(total: np.ndarray) -> dict[str, np.ndarray]:
        n, mean = total[0], total[1] / total[0]
        spread = np.sqrt(np.maximum(total[2] / n - mean**2, 0.0))
        covered = {name: total[4 + i] / n for i, name in enumerate(COVERAGES)}
        return {"pull_mean": mean, "pull_std": spread, "crps": total[3] / n, **covered}

    point = {name: float(value) for name, value in estimates(sums.sum(axis=0)).items()}
    out: dict[str, object] = {"n": len(rows), "n_stars": len(stars), **point}
    out["pull_robust"], out["pit_distance"] = robust_scatter(pull), uniform_distance(pit(pull))
    if len(stars) < LEAST_STARS:
        return out | {"note": f"fewer than {LEAST_STARS} stars: no interval"}
    drawn = [estimates((counts @ sums).T) for counts in star_resamples(len(stars), replicates, seed, len(rows))]
    for name in _RESAMPLED:
        ends = interval(np.concatenate([block[name] for block in drawn]), level)
        out[f"{name}_lo"], out[f"{name}_hi"] = ends
    return out
