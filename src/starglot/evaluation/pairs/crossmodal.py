"""Spectra of one view predicted from another one's: residuals against those observed of test stars, by pixel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.pairs.simple_translation import NEIGHBOURS
from starglot.evaluation.statistics import NORMAL_MAD, interval, star_resamples

COLUMNS: tuple[str, ...] = (
    *("from", "to", "method", "n", "rmse", "rmse_lo", "rmse_hi", "mae", "bias", "scatter", "scatter_90"),
    *("r2", "r2_lo", "r2_hi", "interval"),
)

NOTES: tuple[str, ...] = (
    "Residuals are predicted minus observed flux, in the units of the recipe of the view that is predicted. Observed "
    "spectra have noise of their own, below which nothing can come. N counts stars, a spectrum each.",
    "rmse, mae: over all pixels and stars. bias: median over pixels of |median residual of a pixel|. scatter, "
    "scatter_90: median and 90 % point over pixels of 1.4826 times the median absolute deviation of a pixel. r2: 1 - "
    "squared residuals / those of the mean training spectrum.",
    "decoder: the aligned base's own, from the shared embedding. aligned: mean spectrum of the "
    f"{NEIGHBOURS} training stars whose embeddings in the predicted view are most similar to that of the given "
    "spectrum. nearest: the same by plain distance of flux in the given view. ridge: ridge regression on training "
    "pairs. mean: the mean training spectrum.",
)


def crossmodal_table(
    predicted: Mapping[tuple[str, str, str], np.ndarray],
    observed: Mapping[str, np.ndarray],
    means: Mapping[str, np.ndarray],
    *,
    level: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each (from, to, method), with intervals over stars.

    predicted: flux (n, pixels) of test stars; observed: by view, of the same stars in their order; means: by view,
    the mean training spectrum (pixels,).
    """
    records = []
    for (view, other, method), flux in predicted.items():
        residual = flux - observed[other]
        square = np.square(residual).mean(axis=1)
        about_mean = np.square(observed[other] - means[other]).mean(axis=1)
        median = np.median(residual, axis=0)
        scatter = NORMAL_MAD * np.median(np.abs(residual - median), axis=0)
        record = {"from": view, "to": other, "method": method, "n": len(flux), "interval": level}
        record |= {
            "rmse": float(np.sqrt(square.mean())),
            "mae": float(np.abs(residual).mean()),
            "bias": float(np.median(np.abs(median))),
            "scatter": float(np.median(scatter)),
            "scatter_90": float(np.quantile(scatter, 0.9)),
            "r2": float(1 - square.mean() / about_mean.mean()),
        }
        if len(flux) >= LEAST_STARS:
            sums = np.stack([square, about_mean], axis=1)
            drawn = np.concatenate([times @ sums for times in star_resamples(len(flux), replicates, seed, len(flux))])
            record["rmse_lo"], record["rmse_hi"] = interval(np.sqrt(drawn[:, 0] / len(flux)), level)
            record["r2_lo"], record["r2_hi"] = interval(1 - drawn[:, 0] / drawn[:, 1], level)
        records.append(record)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
