"""Errors on altered spectra over those on the spectra as they came, change by change."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from starglot.evaluation.degradation import UNALTERED
from starglot.labels import LABELS
from starglot.plots.style import save, styled

#: More labels than this share one panel, as their median.
_PANELS = 4
_MARKS = (
    *(("#10206b", "o"), ("#b5541c", "s"), ("0.45", "^"), ("#2f6db3", "D"), ("#e0b030", "v"), ("0.2", "P")),
    *(("#8c1515", "X"), ("0.7", "*")),
)
#: Ratios beyond this are drawn at the edge, as an arrow.
_LIMIT = 30.0


def draw_degradation(table: pd.DataFrame, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: RMSE (so bias, too) over that of the unaltered spectra, by change and model.

    table: of ``evaluation.degradation.degradation_table``.  A panel for each label, with the table's intervals; many
    labels share one panel that shows their median and the range of the middle 68 % of them.  A model that does not
    look at the spectra, and loses nothing, is left out where others are drawn.
    """
    rows = table[table["change"] != UNALTERED]
    blind = rows.groupby("model")["rmse_ratio"].transform(lambda ratio: bool((ratio == 1).all())).astype(bool)
    rows = rows if blind.all() else rows[~blind]
    labels, changes = list(dict.fromkeys(rows["label"])), list(dict.fromkeys(rows["change"]))
    models = list(dict.fromkeys(zip(rows["model"], rows["size"], strict=True)))
    panels = labels if len(labels) <= _PANELS else [f"median of {len(labels)} labels"]
    with styled():
        width = max(6.4, 2.6 + 0.09 * len(changes) * (len(models) + 2))
        figure, axes = plt.subplots(
            len(panels), 1, figsize=(width, 1.4 + 1.75 * len(panels)), sharex=True, squeeze=False
        )
        for axis, panel in zip(axes[:, 0], panels, strict=True):
            axis.axhline(1.0, color="black", linewidth=0.8)
            for number, model in enumerate(models):
                mine = rows[(rows["model"] == model[0]) & (rows["size"] == model[1])]
                value, low, high = _bars(mine[mine["label"] == panel] if panel in labels else mine, changes)
                at = np.arange(len(changes)) + 0.7 * ((number + 0.5) / len(models) - 0.5)
                _points(axis, at, value, low, high, number, f"{model[0]} ({model[1]})")
            for between in np.arange(1, len(changes)) - 0.5:
                axis.axvline(between, color="0.9", linewidth=0.6)
            _log_axis(axis)
            name = LABELS[panel].display if panel in labels else panel
            axis.set_title(name, loc="left")
        axes[-1, 0].set_xticks(range(len(changes)), changes, rotation=45, ha="right")
        axes[-1, 0].set_xlim(-0.5, len(changes) - 0.5)
        for axis in axes[:, 0]:
            axis.grid(visible=False, axis="x")
        figure.supylabel("RMSE, altered / unaltered", fontsize=9)
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower right", ncols=min(len(models), 4))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _bars(rows: pd.DataFrame, changes: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(value, low, high) of each change: the label's with its interval, or median and spread of several labels'."""
    grouped = rows.groupby("change")["rmse_ratio"]
    if rows["label"].nunique() > 1:
        columns = [grouped.quantile(q) for q in (0.5, 0.16, 0.84)]
    else:
        own = rows.set_index("change")
        columns = [own["rmse_ratio"], own["rmse_ratio_lo"], own["rmse_ratio_hi"]]
    value, low, high = (column.reindex(changes).to_numpy(float) for column in columns)
    return value, np.where(np.isfinite(low), low, value), np.where(np.isfinite(high), high, value)


def _points(
    axis: Axes, at: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray, number: int, name: str
) -> None:
    colour, marker = _MARKS[number % len(_MARKS)]
    beyond = value > _LIMIT
    bars = np.maximum(np.nan_to_num(np.stack([value - low, np.minimum(high, _LIMIT) - value])), 0)
    shown = np.where(beyond, np.nan, value)
    axis.errorbar(at, shown, yerr=bars, fmt=marker, color=colour, markersize=4, linewidth=1, label=name)
    axis.plot(at[beyond], np.full(beyond.sum(), 0.9 * _LIMIT), linestyle="", marker=r"$\uparrow$", color=colour)


def _log_axis(axis: Axes) -> None:
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, 0.8), min(max(high, 1.5), _LIMIT))
    axis.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 1.5, 2.0, 3.0, 5.0)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_minor_formatter(NullFormatter())
