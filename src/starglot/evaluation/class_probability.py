"""Probabilities of classes, scaled on validation stars, and whether they hold on others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.models.class_probability import fit_odds, probability

if TYPE_CHECKING:
    import pandas as pd

#: Ends of the bins of a reliability table.
_BINS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0)


def fit_probability(val: pa.Table) -> dict[str, float]:
    """How stated log-odds become probabilities (:func:`starglot.models.class_probability.fit_odds`).

    val: raw predictions (``tables.PREDICTION``) of validation spectra.
    """
    return fit_odds(*_stated_and_right(val, "class_log_odds"))


def with_probability(raw: pa.Table, fitted: Mapping[str, float] | None) -> pa.Table:
    """``raw`` (``tables.PREDICTION``) with its column class_probability filled.

    fitted: of :func:`fit_probability`; None, of a model that was described before there was any: none is stated.
    """
    place = raw.column_names.index("class_probability")
    field = raw.schema.field(place)
    if fitted is None:
        return raw.set_column(place, field, pa.nulls(len(raw), field.type))
    odds = raw["class_log_odds"].to_numpy(zero_copy_only=False).astype(float)
    found = probability(odds, fitted)
    return raw.set_column(place, field, pa.array(found, field.type, mask=~np.isfinite(found)))


def class_reliability(predictions: pa.Table) -> pd.DataFrame:
    """Mean stated probability against the share of right classes, in bins of what is stated, and of all together.

    predictions: ``tables.PREDICTION``, calibrated.  A row for each bin with spectra: stated (the bin), n,
    mean probability, share right, standard error (of the share).  Empty where no class has a probability.
    """
    import pandas as pd  # half a second, for which the many jobs that calibrate have no use

    stated, right = _stated_and_right(predictions, "class_probability")
    bins = np.clip(np.digitize(stated, _BINS) - 1, 0, len(_BINS) - 2)
    parts = [(f"{_BINS[at]:g} to {_BINS[at + 1]:g}", bins == at) for at in range(len(_BINS) - 1)]
    rows = []
    for name, mine in [*parts, ("all", np.ones(len(stated), bool))]:
        n = int(mine.sum())
        if n:
            share = float(right[mine].mean())
            error = float(np.sqrt(share * (1 - share) / n))
            mean = float(stated[mine].mean())
            rows.append(
                {"stated": name, "n": n, "mean probability": mean, "share right": share, "standard error": error}
            )
    return pd.DataFrame(rows)


def _stated_and_right(table: pa.Table, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each spectrum whose class is known and was told with a value of ``column``: this, and 1.0 if it is right.

    A row for each label repeats a spectrum: the first one counts.
    """
    there = pc.and_(pc.is_valid(table["class"]), pc.is_valid(table[column]))
    known = table.select(["obsid", "class", "class_pred", column]).filter(there)
    _, first = np.unique(known["obsid"].to_numpy(), return_index=True)
    one = known.take(pa.array(np.sort(first)))
    right = pc.equal(one["class"], one["class_pred"]).to_numpy(zero_copy_only=False).astype(float)
    return one[column].to_numpy(zero_copy_only=False).astype(float), right
