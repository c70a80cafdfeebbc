"""Accuracy on spectra against what is retained of language: the trade-off of fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from starglot.plots.style import axis_text, marks_of, save, styled


def draw_retention(table: pd.DataFrame, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg`` from a table of :func:`starglot.evaluation.retention.retention_table`.

    Left: retention against the error in the label, a point for each model and question set; right: change of the
    accuracy in per cent, as the paper draws it (Fig. 1, below), with intervals.
    """
    rows = table.assign(who=[f"{row.model} ({row.size})" for row in table.itertuples()])
    who, sets = list(dict.fromkeys(rows["who"])), list(dict.fromkeys(rows["questions"]))
    marks = marks_of(sets)
    with styled():
        wide = 3.4 + max(3.4, 0.9 * len(who) + 0.3 * len(who) * len(sets))
        figure, (trade, change) = plt.subplots(1, 2, figsize=(wide, 3.4), width_ratios=[3.4, wide - 3.4])
        for axis in (trade, change):
            axis.axhline(0, color="black", linewidth=0.8)
        for place, name in enumerate(sets):
            mine = rows[rows["questions"] == name]
            look: dict[str, Any] = {"color": marks[name].colour, "marker": marks[name].marker}
            _points(trade, mine["mae"].to_numpy(float), mine, look, name)
            shift = (place - (len(sets) - 1) / 2) * 0.8 / len(sets)
            at = np.array([who.index(each) for each in mine["who"]]) + shift
            change.bar(at, _per_cent(mine["retention"]), 0.7 / len(sets), color=marks[name].colour, alpha=0.5)
            _points(change, at, mine, look, None)
        each = rows.drop_duplicates("who").sort_values("mae", kind="stable")
        for place, row in enumerate(each.itertuples()):  # neighbours at the two ends: their names do not meet
            end, side = ((0.01, "bottom"), (0.99, "top"))[place % 2]
            at_end = {"xycoords": ("data", "axes fraction"), "rotation": 90, "fontsize": 6, "va": side, "ha": "right"}
            trade.annotate(str(row.who), (float(row.mae), end), **at_end)
        label = str(rows["label"].iloc[0]) if len(rows) else ""
        trade.set(xlabel=axis_text(label, "MAE"), ylabel="change of accuracy (%)")
        change.set_xticks(range(len(who)), who, rotation=20, ha="right")
        change.grid(axis="x", visible=False)
        figure.legend(loc="outside lower center", ncols=max(1, min(len(sets), 4)))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _points(axis: Axes, x: np.ndarray, rows: pd.DataFrame, look: dict[str, Any], name: str | None) -> None:
    value, low, high = (_per_cent(rows[f"retention{end}"]) for end in ("", "_lo", "_hi"))
    axis.errorbar(
        x,
        value,
        yerr=np.nan_to_num(np.abs(np.array([value - low, high - value]))),
        linestyle="",
        markersize=4,
        elinewidth=0.8,
        label=name,
        **look,
    )


def _per_cent(retention: pd.Series[float]) -> np.ndarray:
    change: np.ndarray = 100 * (retention.to_numpy(float) - 1)
    return change
