"""Predicted against label, a panel for each model and label (figure 2 of the transfer paper)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from starglot.evaluation.presentation import label_text
from starglot.evaluation.rows import Judged
from starglot.evaluation.transfer.tables import estimates
from starglot.plots.style import DENSE, DENSITY_MAP, save, save_sentence, styled

#: Axes show this central share of the labels, widened.
_SHOWN = 0.995


def draw_strategies(
    judged: Mapping[str, Mapping[str, Judged]], strategies: Mapping[str, str], stem: Path, title: str
) -> None:
    """Write ``{stem}.png`` and ``.svg``; judged: model -> label -> its rows; strategies: model -> how it goes on.

    Every panel says R2, Tukey's biweight scatter and N; what lies outside of it is counted.
    """
    labels = list(dict.fromkeys(label for each in judged.values() for label, rows in each.items() if len(rows)))
    models = [model for model, each in judged.items() if any(len(rows) for rows in each.values())]
    if not models:
        return save_sentence("no spectrum has a label and an answer", stem, title)
    with styled():
        size = (1.95 * len(models) + 0.6, 2.1 * len(labels) + 0.7)
        figure, axes = plt.subplots(len(labels), len(models), figsize=size, squeeze=False, sharex="row", sharey="row")
        for row, label in enumerate(labels):
            truth = np.concatenate([judged[model][label].truth for model in models if label in judged[model]])
            low, high = np.quantile(truth, [(1 - _SHOWN) / 2, (1 + _SHOWN) / 2])
            ends = (low - 0.12 * (high - low), high + 0.12 * (high - low))
            for axis, model in zip(axes[row], models, strict=True):
                axis.set(xlim=ends, ylim=ends, aspect="equal")
                if label in judged[model] and len(judged[model][label]):
                    _panel(axis, judged[model][label], ends)
                if row == 0:
                    said = strategies.get(model, "").replace("_", "-")
                    axis.set_title(model if said in ("", model) else f"{model}\n{said}", fontsize=8)
            axes[row, 0].set_ylabel(f"predicted {label_text(label)}", fontsize=8)
        figure.supxlabel("label", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _panel(axis: Axes, rows: Judged, ends: tuple[float, float]) -> None:
    axis.plot(ends, ends, color="0.6", linewidth=0.8)
    if len(rows) > DENSE:
        box = (*ends, *ends)
        axis.hexbin(rows.truth, rows.value, gridsize=40, extent=box, bins="log", mincnt=1, cmap=DENSITY_MAP)
    else:
        axis.scatter(rows.truth, rows.value, s=4, color="#10206b", linewidths=0, alpha=0.7, rasterized=True)
    outside = int(((rows.value < ends[0]) | (rows.value > ends[1])).sum())
    said = estimates([rows], 0.95, 0, 0)
    text = f"R2 {said.get('r2', np.nan):.3f}\nscatter {said.get('biweight', np.nan):.3f}\nN {len(rows):,}"
    text += f"\n{outside} outside" if outside else ""
    axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top", fontsize=6.5)
