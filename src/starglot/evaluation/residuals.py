"""Residual tables (paper tables 2-6), from prediction tables alone and in the same way for every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.errors import StarglotError
from starglot.evaluation.cells import LEAST_STARS, STATISTICS, CellRows, cell_statistics
from starglot.labels import LABELS
from starglot.statuses import STATUSES
from starglot.tables import PREDICTION

#: The row of a table that takes every class together.
ALL = "All"

#: Identity and counts in front of the statistics, in the order of the columns.
KEYS: tuple[str, ...] = ("task", "model", "size", "set", "label", "class")
COUNTS: tuple[str, ...] = ("n", "n_stars", "n_unparsable", "n_no_truth", "n_no_sigma", "n_seen")


def read_predictions(path: str | Path, groups: Sequence[str] = ()) -> pa.Table:
    """A prediction table with the columns of ``tables.PREDICTION``, checked.

    groups: those of the task, where they matter.  Raises StarglotError for missing columns, no rows at all, rows
    without obsid, star or label, a class that is none of ``groups``, an unknown status, and a spectrum that appears
    twice for a label.
    """
    held = pq.read_schema(path).names
    missing = [name for name in PREDICTION.names if name not in held]
    if missing:
        raise StarglotError(
            f"a prediction table lacks the column(s) {', '.join(missing)}",
            where=path,
            allowed=f"all of {', '.join(PREDICTION.names)}",
            todo="remove the file and predict again",
        )
    return check_predictions(pq.read_table(path, columns=PREDICTION.names), path, groups)


def check_predictions(table: pa.Table, where: object, groups: Sequence[str] = ()) -> pa.Table:
    """``table`` as it came, or the StarglotError that :func:`read_predictions` lists; ``where`` names its source."""
    if len(table) == 0:
        raise StarglotError("a prediction table has no rows", where=where, todo="predict again; is the sample empty?")
    for name in ("obsid", "star_id", "label", "status"):
        if table[name].null_count:
            raise StarglotError(
                f"{table[name].null_count} row(s) of a prediction table have no {name}",
                where=where,
                todo="remove the file and predict again",
            )
    for name, allowed in (("class", groups), ("status", STATUSES)) if groups else (("status", STATUSES),):
        unknown = {v for v in table[name].unique().to_pylist() if v is not None and v not in allowed}
        if unknown:
            raise StarglotError(
                f"a prediction table has the {name} {', '.join(sorted(unknown))}",
                where=where,
                allowed=", ".join(allowed),
                todo="remove the file and predict again",
            )
    counted = table.group_by(["obsid", "label"]).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted["count_all"], 1)).sort_by("obsid")
    if len(twice):
        raise StarglotError(
            f"{len(twice)} spectra appear more than once for a label in a prediction table",
            where=f"{where}: first obsid {twice['obsid'][0].as_py()}, label {twice['label'][0].as_py()}",
            allowed="one row per obsid and label",
            todo="remove the file and predict again",
        )
    return table


def residual_table(
    predictions: Mapping[tuple[str, str, str], Path],
    task_labels: Sequence[str],
    *,
    task: str,
    groups: Sequence[str],
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
    unseen_by_all: bool = False,
) -> pd.DataFrame:
    """Statistics of the residuals for each (model, size, set) of ``predictions``, label and group of the task
    (``class``), 'All' first.

    Columns: :data:`KEYS`; :data:`COUNTS`; every name of ``cells.STATISTICS`` with ``_lo`` and ``_hi``, the
    ``level`` percentile interval of ``replicates`` bootstrap samples of the stars; ``interval`` (the level);
    ``split_by`` ('star': no star is in two of train, val, test); ``note``.  mean, std (ddof 0), rmse, mae and
    robust (normalised MAD) are of the residual as the label takes it (``labels.Residual``), r2 and skill of truth and
    value themselves.

    ``n`` counts spectra that have a truth and a usable answer and whose star the model was not trained on; answers
    that are unparsable, out of range or missing are in ``n_unparsable``, spectra of training stars in ``n_seen``, and
    neither is in any statistic.  With ``unseen_by_all`` a star that one model was trained on is left out for every
    model of its set, so that all are judged on the same stars.  A cell that cannot be computed is null and its
    ``note`` says why: no truth, no usable answer, one star, NaN or infinite input.

    Raises StarglotError as :func:`read_predictions` does.
    """
    tables = {key: read_predictions(path, groups) for key, path in predictions.items()}
    if unseen_by_all:
        tables = _seen_by_any(tables)
    records = []
    for (model, size, name), table in tables.items():
        for label in task_labels:
            rows = _arrays(table.filter(pc.equal(table["label"], label)))
            for letter in (ALL, *groups):
                chosen = {k: v[rows["letter"] == letter] for k, v in rows.items()} if letter != ALL else rows
                keys = dict(zip(KEYS, (task, model, size, name, label, letter), strict=True))
                records.append(keys | _cell(label, chosen, level, replicates, seed))
    return pd.DataFrame.from_records(records, columns=_columns())


def _seen_by_any(tables: dict[tuple[str, str, str], pa.Table]) -> dict[tuple[str, str, str], pa.Table]:
    """The tables with ``seen`` set for every star that any model of the same set has seen."""
    seen: dict[str, list[pa.ChunkedArray]] = {}
    for (_, _, name), table in tables.items():
        seen.setdefault(name, []).append(table.filter(pc.fill_null(table["seen"], False))["star_id"])
    known = {
        name: pc.unique(pa.chunked_array([c for part in parts for c in part.chunks], pa.string()))
        for name, parts in seen.items()
    }
    at = PREDICTION.get_field_index("seen")
    return {
        key: table.set_column(at, PREDICTION.field(at), pc.is_in(table["star_id"], value_set=known[key[2]]))
        for key, table in tables.items()
    }


def _columns() -> list[str]:
    spread = [f"{name}{end}" for name in STATISTICS for end in ("", "_lo", "_hi")]
    return [*KEYS, *COUNTS, *spread, "interval", "split_by", "note"]


def _arrays(rows: pa.Table) -> dict[str, np.ndarray]:
    """One label's rows as arrays, in an order of their own: results do not depend on the file's order."""
    rows = rows.sort_by([("star_id", "ascending"), ("obsid", "ascending")])
    arrays = {
        "star": rows["star_id"].combine_chunks().dictionary_encode().indices.to_numpy(),
        "letter": np.array(rows["class"].to_pylist(), dtype=object),
        "ok": np.asarray(pc.equal(rows["status"], "ok").combine_chunks()),
        "seen": np.asarray(rows["seen"].fill_null(False).combine_chunks()),
    }
    for name in ("truth", "value", "sigma"):
        arrays[name] = rows[name].combine_chunks().to_numpy(zero_copy_only=False)
        arrays[f"has_{name}"] = np.asarray(rows[name].combine_chunks().is_valid())
    return arrays


def _cell(label: str, rows: dict[str, np.ndarray], level: float, replicates: int, seed: int) -> dict[str, object]:
    truth, has_truth = rows["truth"], rows["has_truth"]
    answered = rows["has_value"] & rows["ok"]
    # What a model remembers of its training stars says nothing about a new star.
    judged = has_truth & ~rows["seen"]
    used = judged & answered
    sigma, has_sigma = rows["sigma"], rows["has_sigma"] & used
    of = {name: rows[name][used] for name in ("truth", "value", "star", "letter")}
    residual = LABELS[label].residual.of(of["truth"], of["value"])
    usable = CellRows(**of, sigma=sigma[used], residual=residual)
    stars = len(np.unique(usable.star))
    spoilt = [
        f"{count} {what}"
        for count, what in (
            (int(np.sum(judged & ~np.isfinite(truth))), "truths are NaN or infinite"),
            (int(np.sum(~np.isfinite(usable.value))), "predicted values are NaN or infinite"),
            (int(np.sum(has_sigma & ~(np.isfinite(sigma) & (sigma >= 0)))), "sigmas are NaN, infinite or negative"),
        )
        if count
    ]
    if spoilt:
        # Leaving such rows out would flatter the model that made them: the whole cell is marked.
        usable = usable.none()
    cell: dict[str, object] = {
        "n": int(used.sum()),
        "n_stars": stars,
        "n_unparsable": int((judged & ~answered).sum()),
        "n_no_truth": int((~has_truth).sum()),
        "n_no_sigma": int((used & ~has_sigma).sum()),
        "n_seen": int((has_truth & rows["seen"]).sum()),
    }
    return (
        cell
        | cell_statistics(usable, level, replicates, seed)
        | {
            "interval": level,
            "split_by": "star",
            "note": "; ".join(spoilt) or _note(len(truth), bool(has_truth.any()), bool(judged.any()), stars),
        }
    )


def _note(rows: int, with_truth: bool, judged: bool, stars: int) -> str | None:
    if rows == 0:
        return "no spectra"
    if not with_truth:
        return "no spectrum has a truth"
    if not judged:
        return "every star was seen in training"
    if stars == 0:
        return "no usable answer"
    if stars == 1:
        return "one star: no scatter, no skill"
    return f"fewer than {LEAST_STARS} stars: no interval" if stars < LEAST_STARS else None
