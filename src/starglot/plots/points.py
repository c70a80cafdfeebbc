"""What figures are drawn from: the usable rows of prediction tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.labels import LABELS


@dataclass(frozen=True)
class Points:
    """One label's truth, predicted value and residual (n,), class or None (n,), and how many rows were left out."""

    truth: np.ndarray
    value: np.ndarray
    residual: np.ndarray
    letter: np.ndarray
    left_out: int

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def classes(self) -> list[str]:
        """Class letters that occur, sorted."""
        return sorted({letter for letter in self.letter if letter is not None})


def points(predictions: pa.Table, label: str) -> Points:
    """The rows of ``label`` with a truth, an answer that is ok and finite numbers; the rest is counted.

    Rows without a truth, and spectra of training stars, are not counted: nothing is to be compared.
    """
    rows = predictions.filter(pc.equal(predictions["label"], label)).sort_by("obsid")
    rows = rows.filter(pc.and_(pc.is_valid(rows["truth"]), pc.invert(pc.fill_null(rows["seen"], False))))
    truth = rows["truth"].combine_chunks().to_numpy(zero_copy_only=False)
    value = rows["value"].combine_chunks().to_numpy(zero_copy_only=False)
    letter = np.array(rows["class"].to_pylist(), dtype=object)
    good = np.isfinite(truth) & np.isfinite(value) & np.asarray(pc.equal(rows["status"], "ok").combine_chunks())
    residual = LABELS[label].residual.of(truth[good], value[good])
    return Points(truth[good], value[good], residual, letter[good], int((~good).sum()))
