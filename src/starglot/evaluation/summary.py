"""Short tables for the top of a report: models side by side, classes answered, answers that failed, Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.errors import StarglotError
from starglot.evaluation.presentation import error_decimals, fixed, label_text, said_of
from starglot.evaluation.residuals import ALL, read_predictions
from starglot.labels import CLASSES, LABELS
from starglot.statuses import STATUSES

_HEADLINE = ("n", "n_stars", "n_unparsable", "r2", "skill", "std", "robust")

#: Counts beside those of labels, and how Table 1 calls them.
_ANY = {"spectra": "spectra with any", "stars": "stars with any"}


def headline_table(residuals: pd.DataFrame) -> pd.DataFrame:
    """All classes together: a row per (set, size, label, model) with N, R2, within-class skill, std, robust scatter.

    ``residuals`` is what ``residual_table`` gives.  Labels keep their order, models of a label stand together.
    """
    rows = residuals[residuals["class"] == ALL]
    order = {label: i for i, label in enumerate(dict.fromkeys(rows["label"]))}
    rows = rows.assign(_label=rows["label"].map(order)).sort_values(["set", "size", "_label"], kind="stable")
    spread = [c for name in _HEADLINE for c in (name, f"{name}_lo", f"{name}_hi") if c in rows.columns]
    return rows[["task", "set", "size", "label", "model", *spread, "interval", "split_by", "note"]].reset_index(
        drop=True
    )


def headline_text(headline: pd.DataFrame, width: int = 100) -> str:
    """A headline table for a terminal ``width`` columns wide: a line a model, R2 and robust scatter of each label.

    Labels that do not fit beside each other follow below; the smallest robust scatter of a label has a star.
    """
    blocks = []
    for (size, name), rows in headline.groupby(["size", "set"], sort=False):
        models = [str(model) for model in dict.fromkeys(rows["model"])]
        first = max(map(len, ("model", *models)))
        columns = [_label_column(label, here, models) for label, here in rows.groupby("label", sort=False)]
        lines = [[text.ljust(first) for text in ("", "model", *models)]]
        for column in columns:
            if len(lines[-1][0]) + 3 + len(column[0]) > width:
                lines.append([text.ljust(first) for text in ("", "model", *models)])
            lines[-1] = [f"{left}   {right}" for left, right in zip(lines[-1], column, strict=True)]
        parts = ["\n".join(line.rstrip() for line in block) for block in lines]
        about = f"{rows['task'].iloc[0]}, size {size}, set {name}: {rows['n'].max():,} spectra of "
        about += f"{rows['n_stars'].max():,} objects outside training"
        level = f"{100 * float(rows['interval'].iloc[0]):g} %"
        below = f"scatter: robust, of predicted minus catalogue; * smallest; ± half of its {level} interval over them"
        blocks.append("\n\n".join([about, *parts, below]))
    return "\n\n".join(blocks)


def _label_column(label: object, rows: pd.DataFrame, models: Sequence[str]) -> list[str]:
    """Heading, sub-headings and a line for each of ``models``, all equally wide."""
    by_model = rows.set_index("model")
    decimals = error_decimals(label)
    best = by_model["robust"].idxmin() if by_model["robust"].notna().any() else None
    cells = [("R2", "scatter ", "±")]
    for model in models:
        row = by_model.loc[model] if model in by_model.index else None
        if row is None or pd.isna(row["robust"]):
            cells.append(("", "", ""))
            continue
        r2 = fixed(float(row["r2"]), 3) if pd.notna(row["r2"]) else "–"
        half = fixed(float(row["robust_hi"] - row["robust_lo"]) / 2, decimals)
        cells.append((r2, f"{fixed(float(row['robust']), decimals)}{'*' if model == best else ' '}", half))
    widths = [max(len(cell[k]) for cell in cells) for k in range(3)]
    lines = [" ".join(text.rjust(wide) for text, wide in zip(cell, widths, strict=True)) for cell in cells]
    heading = label_text(str(label))
    wide = max(len(heading), len(lines[0]))
    return [heading.center(wide), *(line.rjust(wide) for line in lines)]


def table_1(counts: pa.Table, objects: str = "stars") -> pd.DataFrame:
    """Paper table 1, turned so that it fits a page: one row per label, one column per class and 'All'.

    ``counts`` has one row per class: ``class`` and columns of counts by label; counts of ``spectra`` and ``stars``
    with any label become the first rows.
    Raises StarglotError when there is no ``class`` column or no label.
    """
    labels = [name for name in counts.column_names if name in LABELS]
    if "class" not in counts.column_names or not labels:
        raise StarglotError(
            "a table of label counts has no class or no label columns",
            where=f"columns {', '.join(counts.column_names)}",
            allowed="class, then names of labels",
            todo="count the labels again: snakemake samples",
        )
    names = [name for name in counts.column_names if name in _ANY or name in LABELS]
    by_class = dict(zip(counts["class"].to_pylist(), counts.select(names).to_pylist(), strict=True))
    rows = []
    for name in names:
        row = {letter: int(found[name] or 0) for letter, found in by_class.items()}
        rows.append({"label": said_of(objects, _ANY.get(name, name)), **row, ALL: sum(row.values())})
    return pd.DataFrame(rows)


def class_confusion(predictions: pa.Table) -> pd.DataFrame:
    """Catalogue class (rows) against answered class (columns A F G K M and 'none'), in spectra, with the share right.

    Empty when no answer of the table names a class (baselines, abundances).
    """
    # A row per label repeats the class: one row per spectrum is kept.
    classes = predictions.select(["obsid", "class", "class_pred"]).to_pandas().drop_duplicates("obsid")
    if classes["class_pred"].notna().sum() == 0:
        return pd.DataFrame()
    rows = []
    for letter in CLASSES:
        answered = classes.loc[classes["class"] == letter, "class_pred"]
        hits = int((answered == letter).sum())
        counts = {other: int((answered == other).sum()) for other in CLASSES}
        share = hits / len(answered) if len(answered) else np.nan
        rows.append(
            {"class": letter, "n": len(answered), **counts, "none": int(answered.isna().sum()), "share right": share}
        )
    return pd.DataFrame(rows)


def answer_counts(predictions: Mapping[tuple[str, str, str, str], Path], examples: int = 3) -> pd.DataFrame:
    """Per (task, model, size, set): spectra, and answers by status over all labels, with obsids of failed ones."""
    rows = []
    for (task, model, size, name), path in predictions.items():
        table = read_predictions(path)
        status = np.array(table["status"].to_pylist(), dtype=object)
        failed = np.unique(table["obsid"].to_numpy()[status != "ok"])
        rows.append(
            {"task": task, "model": model, "size": size, "set": name, "n_spectra": len(table["obsid"].unique())}
            | {s: int((status == s).sum()) for s in STATUSES}
            | {"first failed obsids": ", ".join(str(i) for i in failed[:examples]) or "none"}
        )
    return pd.DataFrame(rows)
