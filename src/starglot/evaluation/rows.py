"""The rows of a prediction table that can be judged, as arrays; what cannot is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.evaluation.residuals import read_predictions
from starglot.labels import LABELS


@dataclass(frozen=True)
class Judged:
    """One label's spectra with a truth and an ok answer, of stars outside training; arrays (n,), by star and obsid.

    sigma is NaN where there is none; residual is taken as the label says (``labels.Residual``).  ``seen`` counts
    spectra of training stars, ``spoilt`` those whose truth, value or sigma is NaN, infinite or (sigma) not positive;
    neither is in the arrays.
    """

    obsid: np.ndarray
    star: np.ndarray
    letter: np.ndarray
    truth: np.ndarray
    value: np.ndarray
    sigma: np.ndarray
    residual: np.ndarray
    seen: int
    spoilt: int

    def __len__(self) -> int:
        return len(self.obsid)

    @property
    def error(self) -> np.ndarray:
        """Predicted minus true, in the label's unit, as sigma is."""
        difference: np.ndarray = self.value - self.truth
        return difference

    def where(self, chosen: np.ndarray) -> Judged:
        """The rows that a boolean array chooses."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("seen", "spoilt")}
        return replace(self, **{name: array[chosen] for name, array in arrays.items()})


def judged(predictions: pa.Table, label: str) -> Judged:
    """The rows of ``label`` in a prediction table (``tables.PREDICTION``) that can be judged."""
    rows = predictions.filter(pc.equal(predictions["label"], label)).sort_by(
        [("star_id", "ascending"), ("obsid", "ascending")]
    )
    ok = pc.and_(pc.equal(rows["status"], "ok"), pc.and_(pc.is_valid(rows["truth"]), pc.is_valid(rows["value"])))
    rows = rows.filter(ok)
    seen = np.asarray(pc.fill_null(rows["seen"], False).combine_chunks())
    rows = rows.filter(pa.array(~seen))
    column = {
        name: rows[name].combine_chunks().to_numpy(zero_copy_only=False).astype(float)
        for name in ("truth", "value", "sigma")
    }
    has_sigma = np.asarray(rows["sigma"].combine_chunks().is_valid())
    good = np.isfinite(column["truth"]) & np.isfinite(column["value"])
    good &= ~has_sigma | (np.isfinite(column["sigma"]) & (column["sigma"] > 0))
    held = Judged(
        obsid=rows["obsid"].to_numpy(),
        star=np.asarray(rows["star_id"].to_pylist(), dtype=object),
        letter=np.asarray(rows["class"].to_pylist(), dtype=object),
        **column,
        residual=LABELS[label].residual.of(column["truth"], column["value"]),
        seen=int(seen.sum()),
        spoilt=int((~good).sum()),
    )
    return held.where(good)


def each_judged(
    predictions: Mapping[tuple[str, str, str], Path], labels: Sequence[str], task: str
) -> Iterator[tuple[dict[str, str], Judged]]:
    """The rows of every label of every prediction table, by (model, size, set), with the cells that identify them."""
    for (model, size, name), path in predictions.items():
        table = read_predictions(path)
        for label in labels:
            yield {"task": task, "model": model, "size": size, "set": name, "label": label}, judged(table, label)


def spoilt_note(rows: Judged) -> str | None:
    """What is said of rows that hold values which cannot be judged: their cell is marked, and has no numbers."""
    return f"{rows.spoilt} rows with NaN, infinite or negative values" if rows.spoilt else None


def values_of(table: pa.Table, name: str, obsid: np.ndarray) -> np.ndarray:
    """Column ``name`` of ``table`` at the spectra ``obsid`` (n,); NaN for spectra and values that it lacks."""
    if name not in table.column_names:
        return np.full(len(obsid), np.nan)
    at = pc.index_in(pa.array(obsid), value_set=table["obsid"].combine_chunks())
    values: np.ndarray = table[name].combine_chunks().take(at).to_numpy(zero_copy_only=False)
    return values.astype(float)
