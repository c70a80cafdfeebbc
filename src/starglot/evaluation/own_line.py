"""Which abundances are read from their own lines: the response of a prediction to one [X/Fe] alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import interval, star_resamples

#: A response is read from own lines when its whole interval is above the first, guessed when below the second.
READ, GUESSED = 0.5, 0.2

#: With fewer base stars an interval says nothing.
_LEAST_STARS = 4

COLUMNS: tuple[str, ...] = (
    *("model", "size", "label", "n_stars", "response", "response_lo", "response_hi", "others", "verdict", "interval"),
)

NOTES: tuple[str, ...] = (
    "Mock spectra without noise in which one [X/Fe] changes and nothing else. Response: change of the predicted "
    "[X/Fe] over the true change, 1 if it is read perfectly, 0 if the model does not look at the element's lines.",
    "Others: root mean square response of the other labels to the same change; large when lines are mistaken for "
    "another element's.",
    f"Verdict: 'own lines' when the whole interval is above {READ}, 'guessed' (from correlations with other labels) "
    f"when it is below {GUESSED}, else 'partly'.",
)


def response_table(
    predictions: Mapping[tuple[str, str], Path],
    changes: pa.Table,
    labels: Sequence[str],
    *,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Response d(predicted)/d(true) of each label by model and size, with a bootstrap interval over the base stars.

    predictions: own-line prediction tables by (model, size); changes: obsid, star_id, ``changed`` (label) and
    ``step`` (dex), two steps of either sign for each star and label.  A star without an answer on one side is left
    out.
    """
    pairs = _pairs(changes)
    records = []
    for (model, size), path in predictions.items():
        table = read_predictions(path)
        slopes = {label: _slopes(table, label, pairs) for label in labels}
        for label in labels:
            own = slopes[label].get(label, np.empty(0))
            other = [slopes[name].get(label, np.empty(0)) for name in labels if name != label]
            across = np.concatenate(other) if other else np.empty(0)
            record: dict[str, object] = {"model": model, "size": size, "label": label, "n_stars": len(own)}
            if len(own):
                record["response"] = float(own.mean())
                record["others"] = float(np.sqrt(np.mean(across**2))) if len(across) else None
            if len(own) >= _LEAST_STARS:
                blocks = star_resamples(len(own), replicates, seed, len(own))
                drawn = np.concatenate([counts @ own / len(own) for counts in blocks])
                low, high = interval(drawn, level)
                verdict = "own lines" if low > READ else "guessed" if high < GUESSED else "partly"
                record |= {"response_lo": low, "response_hi": high, "verdict": verdict, "interval": level}
            records.append(record)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _pairs(changes: pa.Table) -> pd.DataFrame:
    """A row a star and changed label: obsid of either step (``low``, ``high``), how far these are apart (``dex``)."""
    known = changes.select(["obsid", "star_id", "changed", "step"]).to_pandas().sort_values("step")
    ends = known.groupby(["changed", "star_id"], sort=True, as_index=False).agg(
        low=("obsid", "first"), high=("obsid", "last"), below=("step", "first"), above=("step", "last")
    )
    return ends.assign(dex=ends["above"] - ends["below"])


def _slopes(table: pa.Table, label: str, pairs: pd.DataFrame) -> dict[str, np.ndarray]:
    """By changed label: change of the predicted ``label`` over the change, one number a star."""
    rows = judged(table, label)
    values = pd.Series(rows.value, index=rows.obsid)
    slope = (values.reindex(pairs["high"]).to_numpy() - values.reindex(pairs["low"]).to_numpy()) / pairs["dex"]
    answered = slope.notna()
    return {str(changed): part.to_numpy() for changed, part in slope[answered].groupby(pairs["changed"][answered])}
