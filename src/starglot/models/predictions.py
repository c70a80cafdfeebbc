"""The table of predictions, one format for all models: a row per spectrum and label, with the catalogue's value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.labels import REDSHIFT
from starglot.models.redshifts import Doubt
from starglot.tables import DOUBT, PREDICTION

Stars: TypeAlias = Collection[str] | pa.Array


@dataclass(frozen=True)
class Predicted:
    """What a model says, a row for each spectrum and label.

    value, sigma: floats, NaN or null where there is none; status: of ``statuses.STATUSES``; letter: the spectrum's
    class, null where none is told; log_odds: that it is this class, as the model states it, NaN where it does not;
    doubt: of the spectra's redshifts, from a model that has a distribution of them.
    """

    value: Any
    sigma: Any
    status: Any
    letter: Any
    log_odds: Any
    doubt: Doubt | None = None


def prediction_table(
    stars: pa.Table, labels: Sequence[str], truth: np.ndarray, predicted: Predicted, seen: pa.Array
) -> pa.Table:
    """Raw predictions (``tables.PREDICTION``; sigma and class_probability are null until they are calibrated).

    With doubt of redshifts they have the columns of ``tables.DOUBT`` as well, null for other labels.

    stars: obsid, star_id and class of n spectra; labels: k names; truth: (n, k), NaN where unknown; told: n x k rows,
    labels of a spectrum together; seen: (n,) whether the model was trained on the spectrum's star.
    """
    n, k = truth.shape
    each = pa.array(np.repeat(np.arange(n), k))
    columns = {
        **{name: stars[name].take(each) for name in ("obsid", "star_id", "class")},
        "class_pred": predicted.letter,
        "class_probability": pa.nulls(n * k, pa.float64()),
        "class_log_odds": _floats(predicted.log_odds),
        "label": pa.array(list(labels) * n, pa.string()),
        "truth": _floats(truth),
        "value": _floats(predicted.value),
        "sigma": pa.nulls(n * k, pa.float64()),
        "sigma_raw": _floats(predicted.sigma),
        "status": predicted.status,
        "seen": seen.take(each),
    }
    if predicted.doubt is not None:
        other = np.tile([name != REDSHIFT.name for name in labels], n)
        for name, values in vars(predicted.doubt).items():
            each = np.repeat(values, k)
            none = other | ~np.isfinite(each)
            columns[name] = pa.array(np.where(none, 0, each), DOUBT.field(name).type, mask=none)
    return as_predictions(pa.table(columns)).combine_chunks()


def as_predictions(table: pa.Table) -> pa.Table:
    """``table`` with the types of ``tables.PREDICTION``, and of ``tables.DOUBT`` where it has these columns."""
    more = DOUBT if set(DOUBT.names) <= set(table.column_names) else []
    return table.cast(pa.schema([*PREDICTION, *more]))


def are_seen(stars: pa.Table, trained_on: Stars) -> pa.Array:
    """(n,) whether the spectra's stars (star_id) are among those of a training."""
    known = trained_on if isinstance(trained_on, pa.Array) else pa.array(sorted(trained_on), pa.string())
    return pc.is_in(stars["star_id"].combine_chunks(), value_set=known)


def label_values(table: pa.Table, labels: Sequence[str]) -> np.ndarray:
    """(n, k) label columns as floats; NaN where null, and throughout where there is no such column."""
    values = [
        table[name].to_numpy(zero_copy_only=False).astype(float)
        if name in table.column_names
        else np.full(len(table), np.nan)
        for name in labels
    ]
    return np.stack(values, axis=1)


def _floats(values: Any) -> pa.Array:
    """Floats as a column, null where they are not finite."""
    flat = np.asarray(values, dtype=float).reshape(-1)
    return pa.array(flat, pa.float64(), mask=~np.isfinite(flat))
