"""The paper's table 1: spectra with valid labels, by class."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from starglot.labels import CLASSES, LABELS


def valid_label_counts(labels: pa.Table) -> pa.Table:
    """Number of spectra with a valid value of each label, by class (paper, table 1).

    labels: of :func:`starglot.samples.labels.collect_labels`.  Columns: class (all of ``labels.CLASSES``, in order,
    and 'none' where spectra have none), spectra and stars with any label, then one int64 column per label that the
    table has, in the order of ``labels.LABELS``.
    """
    names = LABELS.in_order(labels.column_names)
    counts: dict[str, list[int]] = {"spectra": [], "stars": [], **{name: [] for name in names}}
    groups = [labels.filter(pc.equal(labels["class"], letter)) for letter in CLASSES]
    classes = list(CLASSES)
    if labels["class"].null_count:
        groups.append(labels.filter(pc.is_null(labels["class"])))
        classes.append("none")
    for rows in groups:
        counts["spectra"].append(len(rows))
        counts["stars"].append(len(pc.unique(rows["star_id"])))
        for name in names:
            counts[name].append(len(rows) - rows[name].null_count)
    columns = {name: pa.array(values, pa.int64()) for name, values in counts.items()}
    return pa.table({"class": pa.array(classes, pa.string()), **columns})
