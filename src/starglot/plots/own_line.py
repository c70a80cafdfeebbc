"""Response of predicted abundances to their own element alone."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from starglot.glossary import LABELS
from starglot.plots.style import save, styled

_MARKS = (("#10206b", "o"), ("#b5541c", "s"), ("0.45", "^"), ("#2f6db3", "D"))


def draw_own_line(responses: pd.DataFrame, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: d(predicted)/d(true) of each element by model, with intervals.

    responses: of ``evaluation.own_line.response_table``.
    """
    labels = list(dict.fromkeys(responses["label"]))
    models = list(dict.fromkeys(zip(responses["model"], responses["size"], strict=True)))
    with styled():
        figure, axis = plt.subplots(figsize=(10.5, 3.6))
        axis.axhline(1.0, color="black", linewidth=0.8, linestyle="--")
        axis.axhline(0.0, color="black", linewidth=0.8)
        for number, (model, size) in enumerate(models):
            rows = responses[(responses["model"] == model) & (responses["size"] == size)].set_index("label")
            at = np.arange(len(labels)) + 0.22 * (number - (len(models) - 1) / 2)
            value, low, high = (
                rows.loc[labels, name].to_numpy(float) for name in ("response", "response_lo", "response_hi")
            )
            colour, marker = _MARKS[number % len(_MARKS)]
            bars = np.nan_to_num(np.stack([value - low, high - value]))
            axis.errorbar(
                at,
                value,
                yerr=np.maximum(bars, 0),
                fmt=marker,
                color=colour,
                markersize=4,
                linewidth=1,
                label=f"{model} ({size})",
            )
        axis.set_xticks(range(len(labels)), [LABELS[label].display for label in labels], rotation=60, ha="right")
        axis.set_ylabel("d(predicted) / d(true)")
        axis.set_ylim(top=max(1.25, axis.get_ylim()[1]))  # room for the legend above the line of a perfect response
        axis.legend(ncols=len(models), loc="upper right")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)
