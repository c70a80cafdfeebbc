"""Which group of its task each spectrum is in: a spectral class, a bin of a label, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.tasks import Bins, LabelBins, Sample, Strata


def in_groups(labels: pa.Table, sample: Sample) -> tuple[pa.Table, dict[str, Any]]:
    """obsid, star_id and class (the group; null where the task has none) of the spectra that can be drawn.

    labels: of :func:`starglot.samples.labels.collect_labels`.  A spectrum without a class, or without the label whose
    bins are asked for, cannot; with groups of null every one can.  Also what a manifest says of bins: their edges.
    """
    if sample.by_class:
        rows = labels.filter(pc.is_valid(labels["class"]))
        return rows.select(["obsid", "star_id", "class"]).combine_chunks(), {}
    groups = sample.groups
    if not isinstance(groups, Bins):
        none = pa.nulls(len(labels), pa.string())
        return labels.select(["obsid", "star_id"]).append_column("class", none).combine_chunks(), {}
    rows = labels.filter(pc.is_valid(labels[groups.bins.label]))
    values = rows[groups.bins.label].to_numpy()
    edges = _edges(values, groups.bins) if len(rows) else np.empty(0)
    # A value on an edge belongs above it, so that equal values are never in two bins.
    names = np.array(groups.names, object)[np.searchsorted(edges[1:-1], values, side="right")]
    drawn = rows.select(["obsid", "star_id"]).append_column("class", pa.array(names, pa.string()))
    return drawn.combine_chunks(), {"bins": {"label": groups.bins.label, "edges": edges.tolist()}}


def by_strata(order: np.ndarray, labels: pa.Table, strata: Strata, splits: np.ndarray) -> np.ndarray:
    """Rows (n,) in drawing order -> in an order whose first rows, however many, have the shares that all have.

    labels: of the rows, with the label of the strata; splits: (n,) name of each row's split.  A part is the rows of a
    split between two edges, or without the label; the k-th of its m rows comes at (k + 1/2) / m of the way.
    """
    values = labels[strata.label].cast(pa.float64()).to_numpy(zero_copy_only=False)
    side = np.where(np.isnan(values), -1, np.searchsorted(strata.edges, values, side="right"))
    _, part = np.unique(np.stack([side.astype(str), splits.astype(str)]), axis=1, return_inverse=True)
    place = np.empty(len(order))
    for number in np.unique(part):
        mine = order[part[order] == number]
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return np.asarray(order[np.argsort(place[order], kind="stable")])


def _edges(values: np.ndarray, bins: LabelBins) -> np.ndarray:
    """(number + 1,) edges of the bins of a label's values (n,)."""
    if bins.spacing == "width":
        return np.linspace(values.min(), values.max(), bins.number + 1)
    return np.asarray(np.quantile(values, np.linspace(0, 1, bins.number + 1)))
