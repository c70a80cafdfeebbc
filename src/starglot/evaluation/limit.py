"""Models against the information limit of mock spectra: errors against the truth in units of the least possible ones.

Everywhere else predictions are compared with a catalogue's labels, which have errors of their own.  A mock knows the
truth, and what its spectra can tell of it (:mod:`starglot.mock.limit`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.evaluation.residuals import ALL, read_predictions
from starglot.evaluation.rows import Judged, judged
from starglot.evaluation.skill import negligible
from starglot.labels import LABELS

#: Bins of S/N in the g band: a name, and its least and largest value.
BINS: dict[str, tuple[float, float]] = {
    "S/N < 50": (0.0, 50.0),
    "S/N 50 to 100": (50.0, 100.0),
    "S/N > 100": (100.0, np.inf),
}

#: Columns in front of those of the models, which are named after them.
COLUMNS: tuple[str, ...] = (
    *("task", "size", "set", "label", "class", "snr", "n", "n_stars"),
    *("bound", "bound_prior", "r2_limit"),
)

NOTES: tuple[str, ...] = (
    "Bound: Cramer-Rao bound of the label, median over spectra: photon noise as the mock drew it, all 24 labels, "
    "velocity, extinction, flux calibration and tellurics unknown; empty where it is wider than the label's whole "
    "range. With prior: root mean square of the bound when the population's covariance in the class is known, too.",
    "R2 limit: what that allows against the truth. S/N: g band.",
    "Models: scatter of prediction minus true value about its mean in the class (a catalogue's labels, which models "
    "learn, have offsets by class), over the bound with prior. 1 is the limit, and photon noise alone.",
)


def limit_rows(
    limits: pa.Table,
    predictions: Mapping[str, Path],
    labels: Sequence[str],
    *,
    task: str,
    size: str,
    groups: Sequence[str],
) -> pd.DataFrame:
    """Bounds of each label by class and S/N, and every model's error in units of the bound with prior.

    limits: of :func:`starglot.mock.limit.limit_table`; predictions: by model, of one set.  N counts the spectra of
    ``limits`` that every model answers and whose star none of them was trained on.
    """
    known = limits.to_pandas()
    tables = {model: read_predictions(path) for model, path in predictions.items()}
    name = next(iter(predictions.values())).name.split(".")[0]
    records = []
    for label in labels:
        here = known[known["label"] == label].set_index("obsid").sort_index()
        rows = {model: judged(table, label) for model, table in tables.items()}
        for each in rows.values():
            here = here[here.index.isin(each.obsid)]
        errors = {model: _errors(each, here) for model, each in rows.items()}
        stars = _stars(next(iter(rows.values())), here)
        for letter in (ALL, *groups):
            for snr in (ALL, *BINS):
                chosen = np.ones(len(here), bool) if letter == ALL else (here["class"] == letter).to_numpy()
                if snr != ALL:
                    low, high = BINS[snr]
                    chosen = chosen & ((here["snr_g"] >= low) & (here["snr_g"] < high)).to_numpy()
                keys = dict(zip(COLUMNS, (task, size, name, label, letter, snr), strict=False))
                counts = {"n": int(chosen.sum()), "n_stars": len(np.unique(stars[chosen]))}
                found = _cell(here[chosen], {model: error[chosen] for model, error in errors.items()}, label)
                records.append({**keys, **counts, **found})
    return pd.DataFrame.from_records(records, columns=[*COLUMNS, *tables])


def _errors(rows: Judged, here: pd.DataFrame) -> np.ndarray:
    """Predicted minus true value of the spectra of ``here``, less the mean of each class."""
    values = pd.Series(rows.value, index=rows.obsid)
    error = values.reindex(here.index) - here["truth"]
    centred: np.ndarray = (error - error.groupby(here["class"]).transform("mean")).to_numpy()
    return centred


def _stars(rows: Judged, here: pd.DataFrame) -> np.ndarray:
    stars = pd.Series(rows.star, index=rows.obsid)
    found: np.ndarray = stars.reindex(here.index).to_numpy()
    return found


def _cell(here: pd.DataFrame, errors: Mapping[str, np.ndarray], label: str) -> dict[str, float | None]:
    if len(here) < 2:
        return {}
    widest = LABELS[label].high - LABELS[label].low
    bound = float(here["bound"].median())
    least = float(np.sqrt(np.mean(here["bound_prior"] ** 2)))
    truth = here["truth"].to_numpy()
    total = float(np.sum((truth - truth.mean()) ** 2))
    return {
        "bound": bound if bound < widest else None,
        "bound_prior": least,
        "r2_limit": 1 - len(here) * least**2 / total if total > negligible(truth) else None,
        **{model: float(np.sqrt(np.mean(error**2))) / least for model, error in errors.items()},
    }
