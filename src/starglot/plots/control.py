"""What pre-training brings, by number of training spectra."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter, FixedLocator, NullLocator

from starglot.labels import LABELS
from starglot.plots.style import save, styled

_COLUMNS = 3
_MARKS = (("#10206b", "o"), ("#b5541c", "s"), ("0.45", "^"), ("#2f6db3", "D"))
#: Room on either side of the smallest and the largest sample, so that one size alone is in the middle.
_ROOM = 1.3


def draw_control(table: pd.DataFrame, stem: Path, title: str, below: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: R2 less the control's, a panel a label, a mark a control.

    table: of ``evaluation.control.control_table``; below: a sentence under the panels.
    """
    labels = list(dict.fromkeys(table["label"]))
    pairs = list(dict.fromkeys(zip(table["model"], table["control"], strict=True)))
    columns = min(_COLUMNS, len(labels))
    rows = math.ceil(len(labels) / columns)
    with styled():
        figure, axes = plt.subplots(rows, columns, figsize=(3.5 * columns, 2.9 * rows + 0.9), squeeze=False)
        for axis, label in zip(axes.flat, labels, strict=False):
            axis.axhline(0, color="0.6", linewidth=0.8)
            axis.set_xscale("log")
            for number, (model, control) in enumerate(pairs):
                here = table[
                    (table["label"] == label) & (table["model"] == model) & (table["control"] == control)
                ].sort_values("n_train")
                n, mid, low, high = (
                    here[c].to_numpy(float) for c in ("n_train", "difference", "difference_lo", "difference_hi")
                )
                bars = np.maximum(np.nan_to_num(np.stack([mid - low, high - mid])), 0)
                colour, marker = _MARKS[number % len(_MARKS)]
                axis.errorbar(
                    n * (1 + 0.04 * number),
                    mid,
                    yerr=bars,
                    fmt=f"{marker}-",
                    color=colour,
                    markersize=4.5,
                    linewidth=1,
                    label=f"{model} less {control}",
                )
            axis.set_xlim(min(table["n_train"]) / _ROOM, max(table["n_train"]) * _ROOM)
            axis.xaxis.set_major_locator(FixedLocator(sorted(set(table["n_train"]))))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
            axis.set_title(LABELS[label].display)
            axis.set_xlabel("training spectra")
            axis.set_ylabel("difference in R2")
        for axis in axes.flat[len(labels) :]:
            axis.set_visible(False)
        handles, names = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=min(3, len(names)))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        figure.supxlabel(below, x=0.01, ha="left", fontsize=7.5, color="0.3")
        save(figure, stem)
