"""R2 of models carried to another survey against the parameters that they train, and against their rate."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from starglot.evaluation.presentation import label_text
from starglot.evaluation.transfer.tables import SPECTRA
from starglot.plots.style import save, save_sentence, styled
from starglot.plots.transfer.sizes import STRATEGY_MARKS

#: R2 is shown from here.
_LOWEST = -0.5
#: What is drawn against what: the axis, and the strategies whose models differ in it.
_ROWS = {
    "trained": ("trained parameters", ("residual", "lora", "full")),
    "learning_rate": ("learning rate", ("scratch",)),
}


def draw_parameters(table: pd.DataFrame, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``; table: of ``transfer_parameters.parameters_table``, rows of all stars.

    Above: residual head, LoRA and full training by trained parameters; below: from scratch by learning rate.
    Solid: all stars; dotted: metal-poor ones, where there are any.  R2 below -0.5 is cut off.
    """
    table = table[table["r2"].notna() & table["strategy"].isin(STRATEGY_MARKS)]
    table = table[table["strategy"].isin([strategy for _, each in _ROWS.values() for strategy in each])]
    labels = list(dict.fromkeys(table["label"]))
    if not labels:
        return save_sentence("no model was carried over", stem, title)
    drawn = {name: each for name, each in _ROWS.items() if table["strategy"].isin(each[1]).any()}
    with styled():
        size = (3.3 * len(labels) + 0.4, 2.6 * len(drawn) + 0.5)
        figure, axes = plt.subplots(len(drawn), len(labels), figsize=size, squeeze=False)
        for column, label in enumerate(labels):
            for row, (name, (said, strategies)) in enumerate(drawn.items()):
                axis = axes[row, column]
                for strategy in strategies:
                    for reads in dict.fromkeys(table["input"]):
                        mine = (table["label"] == label) & (table["strategy"] == strategy) & (table["input"] == reads)
                        _curves(axis, table[mine], name)
                axis.set(xscale="log", xlabel=said, ylabel=f"R2 of {label_text(label).rpartition(' (')[0]}")
                axis.set_ylim(max(_LOWEST, axis.get_ylim()[0]), 1.0)
                if axis.get_legend_handles_labels()[0]:
                    axis.legend(loc="lower right", fontsize=7.5, frameon=True, framealpha=0.85, edgecolor="none")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        below = "Means over the seeds; bars: 95 % over test stars. Solid: all stars; dotted, open: metal-poor."
        figure.supxlabel(below, x=0.01, ha="left", fontsize=7.5, color="0.3")
        save(figure, stem)


def _curves(axis: Axes, rows: pd.DataFrame, name: str) -> None:
    for stars, line in (("all", "-"), ("metal-poor", ":")):
        mine = rows[rows["stars"] == stars].sort_values(name)
        if not len(mine):
            continue
        strategy, reads = mine["strategy"].iloc[0], mine["input"].iloc[0]
        colour, marker = STRATEGY_MARKS[strategy]
        value, low, high = (mine[f"r2{end}"].to_numpy(float) for end in ("", "_lo", "_hi"))
        ends = np.maximum(np.nan_to_num(np.stack([value - low, high - value])), 0)
        said = strategy if reads == SPECTRA else f"{strategy} ({reads})"
        at, named = mine[name].to_numpy(float), said if stars == "all" else None
        (points, *_) = axis.errorbar(
            at, value, yerr=ends, color=colour, marker=marker, markersize=4, elinewidth=0.7, ls=line, label=named
        )
        points.set_markerfacecolor(colour if named else "white")
