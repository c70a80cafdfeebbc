"""Labels and their errors: what counts as a measurement, and what is a placeholder, a limit or a flagged value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from starglot.formats.counts import Counts
from starglot.formats.values import all_nines, is_placeholder
from starglot.labels import Label


def label_pair(
    values: np.ndarray,
    errors: np.ndarray,
    label: Label,
    counts: Counts,
    refused: Mapping[str, np.ndarray] | None = None,
) -> tuple[pa.Array, pa.Array]:
    """A label and its 1-sigma error as nullable float64 columns, counted.

    values, errors: (n,), NaN for missing; refused: reason (of VALUE_REASONS) to the rows (n,) that it makes null.
    Values outside the label's limits are no star's and become null, too; so do errors that are none
    (:func:`good_error`) and errors of missing values.
    """
    values, errors = np.asarray(values, np.float64), np.asarray(errors, np.float64)
    given, valid = np.isfinite(values), within(values, label)
    for rows in (refused or {}).values():
        valid &= ~rows
    # What had no value has lost none; of the rest, a placeholder is told before a flag that comes with it.
    outside = np.flatnonzero(given & ~within(values, label))
    reasons = {"placeholder": np.zeros(len(values), bool)}
    reasons["placeholder"][outside] = is_placeholder(values[outside])
    for reason, rows in (refused or {}).items():
        reasons[reason] = rows | reasons.get(reason, False)
    reasons = {reason: given & rows for reason, rows in reasons.items()}
    counts.made(label.name, values, valid, {**reasons, "outside_limits": given})
    good = valid & good_error(errors, label)
    counts.made(label.error, errors, good, {"no_error": valid & np.isfinite(errors)})
    return pa.array(values, mask=~valid), pa.array(errors, mask=~good)


def within(values: np.ndarray, label: Label) -> np.ndarray:
    """Where values (n,) are within the label's limits; NaN is not."""
    with np.errstate(invalid="ignore"):
        return np.asarray((values >= label.low) & (values <= label.high))


def good_error(errors: np.ndarray, label: Label) -> np.ndarray:
    """Where errors (n,) are the label's: positive, no larger than its range, and not nines (999 K, 9999 K).

    Surveys write 0, -1, -99, 99.99 or 1e30 for an error that they do not know.
    """
    with np.errstate(invalid="ignore"):
        plausible = (errors > 0) & (errors <= label.high - label.low)
    large = np.flatnonzero(plausible & (errors >= 999))
    plausible[large] = ~all_nines(errors[large])
    return np.asarray(plausible)


def combined_error(one: np.ndarray, one_label: Label, other: np.ndarray, other_label: Label) -> np.ndarray:
    """Two errors (n,) in quadrature; NaN where either is none, as a placeholder's square is a large error."""
    one = np.where(good_error(one, one_label), one, np.nan)
    return np.asarray(np.hypot(one, np.where(good_error(other, other_label), other, np.nan)))
