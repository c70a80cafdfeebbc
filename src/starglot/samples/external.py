"""Spectra of stars that an external survey has measured: what models are judged by beyond the labels they learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.root import Split
from starglot.errors import StarglotError
from starglot.samples.order import drawing_order
from starglot.samples.split import split_of
from starglot.tables import SAMPLE, SPLITS


def draw_external(
    labels: pa.Table, survey: str, limit: int | None, split: Split, seed: int, by_class: bool = True
) -> tuple[pa.Table, dict[str, Any]]:
    """The spectra that are predicted for an external survey (``tables.SAMPLE``, by obsid), and how they were chosen.

    labels: the survey's, of :func:`starglot.samples.labels.collect_labels`; by_class: whether the groups of the task
    are the classes; bins of its own sample are not the survey's, whose spectra then have no group.  At most ``limit``
    spectra (None: all): stars of the test split first, then of val, then of train, each in drawing order.  The column
    split holds the survey's name: all of them are one set, whatever split their star is in.

    Raises StarglotError when no cleaned spectrum has a label of the survey.
    """
    classes = labels["class"] if by_class else pa.chunked_array([pa.nulls(len(labels), pa.string())])
    rows = labels.select(["obsid", "star_id"]).append_column("class", classes)
    rows = (rows.filter(pc.is_valid(classes)) if by_class else rows).combine_chunks()
    if not len(rows):
        raise StarglotError(
            f"no cleaned spectrum has a label of {survey}",
            where=f"prediction set {survey}",
            todo=f"take {survey} out of run.validation or run.sets, or check its catalogue and the match",
        )
    splits, folds = split_of(rows["star_id"].to_pylist(), split, seed)
    rank = np.empty(len(rows), np.int64)
    rank[drawing_order(rows["star_id"], rows["obsid"].to_numpy(), seed)] = np.arange(len(rows))
    preferred = np.array([("test", "val", "train").index(name) for name in splits])
    chosen = np.sort(np.lexsort((rank, preferred))[:limit])
    table = rows.append_column("split", pa.array([survey] * len(rows), pa.string()))
    table = table.append_column("fold", pa.array(folds)).take(pa.array(chosen)).sort_by("obsid")
    manifest = {
        "survey": survey,
        "available": len(rows),
        "limit": limit,
        "spectra": len(table),
        "stars": len(pc.unique(table["star_id"])),
        "splits": {name: int((splits[chosen] == name).sum()) for name in SPLITS},
    }
    return table.select(SAMPLE.names).cast(SAMPLE), manifest
