"""Models carried from one survey to another, by strategy: R2 and scatter, of metal-poor and metal-rich stars apart.

As "Generalization from Low- to Moderate-Resolution Spectra with Neural Networks" tabulates them (table 1); its own
numbers, on DESI, stand beside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.stats import sigma_clip

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged
from starglot.evaluation.statistics import interval, star_resamples

#: [Fe/H] below which a star is metal-poor (the paper's table 1).
METAL_POOR = -1.0
SUBSETS = ("all", "metal-poor", "metal-rich")

#: R2 of the paper's table 1, column lrs, by label and strategy: all, metal-poor, metal-rich; means of five runs on
#: 5,539 DESI stars, 79 of them metal-poor, after fine-tuning on 2,069.
PAPER: Mapping[tuple[str, str], tuple[float, float, float]] = {
    ("feh", "residual"): (0.923, 0.636, 0.904),
    ("feh", "lora"): (0.922, 0.571, 0.904),
    ("feh", "full"): (0.923, 0.329, 0.911),
    ("feh", "zero_shot"): (0.873, 0.678, 0.833),
    ("feh", "scratch"): (0.880, -0.736, 0.878),
    ("alpha_fe", "residual"): (0.799, 0.366, 0.802),
    ("alpha_fe", "lora"): (0.829, 0.418, 0.831),
    ("alpha_fe", "full"): (0.816, 0.381, 0.819),
    ("alpha_fe", "zero_shot"): (0.776, 0.318, 0.778),
    ("alpha_fe", "scratch"): (0.761, 0.067, 0.766),
}

COLUMNS: tuple[str, ...] = (
    *("task", "strategy", "model", "size", "set", "label", "stars", "n"),
    *("r2", "r2_lo", "r2_hi", "biweight", "biweight_lo", "biweight_hi", "clipped", "bias", "paper_r2", "interval"),
)

NOTES: tuple[str, ...] = (
    f"Metal-poor: true [Fe/H] below {METAL_POOR:g}; metal-rich: the others. R2 within a narrow range of truths is "
    "low, or negative, for good predictions, too.",
    "Biweight: Tukey's scale of the residuals about their median, c = 6 (Zhao et al., LoRA paper). Clipped: their "
    "standard deviation after clipping at 3 sigma (the table's paper). Bias: their median.",
    "paper_r2: the paper's own on DESI, 5,539 stars (79 metal-poor), means of five runs. It had other stars, so "
    "this is no yardstick for a mock.",
)


def transfer_table(
    predictions: Mapping[tuple[str, ...], Path],
    strategies: Mapping[str, str],
    *,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each prediction table, label and subset of stars; intervals over stars.

    predictions: by (task, model, size, set); strategies: model -> how it goes on from its start, '' for one that has
    none.  Spectra of training stars are left out.  A subset without stars has n 0 and no numbers.
    """
    records = []
    for (task, model, size, name), path in predictions.items():
        table = read_predictions(path)
        metals = judged(table, "feh")
        iron = dict(zip(metals.obsid.tolist(), metals.truth.tolist(), strict=True))
        for label in sorted(set(table["label"].to_pylist()), key=lambda name: (name != "feh", name)):
            rows = judged(table, label)
            feh = np.array([iron.get(obsid, np.nan) for obsid in rows.obsid.tolist()])
            with np.errstate(invalid="ignore"):
                poor, rich = feh < METAL_POOR, feh >= METAL_POOR
            chosen = {"all": np.ones(len(rows), bool), "metal-poor": poor, "metal-rich": rich}
            paper = PAPER.get((label, strategies.get(model, "")))
            for place, stars in enumerate(SUBSETS):
                some = rows.where(chosen[stars])
                records.append(
                    {"task": task, "strategy": strategies.get(model, ""), "model": model, "size": size, "set": name}
                    | {"label": label, "stars": stars, "n": len(some), "interval": level}
                    | {"paper_r2": paper[place] if paper else float("nan")}
                    | _estimates(some, level, replicates, seed)
                )
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _estimates(rows: Judged, level: float, replicates: int, seed: int) -> dict[str, float]:
    if len(rows) < 2:
        return {}
    of: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "r2": _r2,
        "biweight": lambda truth, error: biweight_scale(error),
    }
    out = {name: statistic(rows.truth, rows.error) for name, statistic in of.items()}
    out["bias"] = float(np.median(rows.error))
    out["clipped"] = float(np.std(sigma_clip(rows.error, sigma=3, masked=False)))
    stars, star = np.unique(rows.star, return_inverse=True)
    if len(stars) < LEAST_STARS:
        return out
    every = np.arange(len(rows))
    drawn = [
        np.repeat(every, times[star])
        for block in star_resamples(len(stars), replicates, seed, len(rows))
        for times in block
    ]
    for name, statistic in of.items():
        values = np.array([statistic(rows.truth[at], rows.error[at]) for at in drawn])
        out[f"{name}_lo"], out[f"{name}_hi"] = interval(values, level)
    return out


def _r2(truth: np.ndarray, error: np.ndarray) -> float:
    scatter = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float((error**2).sum()) / scatter if scatter > 0 else float("nan")


def biweight_scale(residuals: np.ndarray) -> float:
    """Tukey's biweight scale of residuals (n,), c = 6 about their median; 0 where half of them are the same.

    sigma^2 = n sum (y - m)^2 (1 - u^2)^4 / (d (d - 1)), d = sum (1 - u^2)(1 - 5 u^2), u = (y - m) / (6 MAD / 0.6745),
    sums over |u| < 1 (the LoRA paper's appendix).
    """
    distance = residuals - np.median(residuals)
    mad = float(np.median(np.abs(distance))) / 0.6745
    if not mad > 0:
        return 0.0
    u = (distance / (6 * mad)) ** 2
    inside = u < 1
    square, distance = u[inside], distance[inside]
    d = float(((1 - square) * (1 - 5 * square)).sum())
    return float(np.sqrt(len(residuals) * (distance**2 * (1 - square) ** 4).sum() / (d * (d - 1))))
