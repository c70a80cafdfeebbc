"""Loss about what each strategy has learnt, along two random directions: contours by strategy and subset of stars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from starglot.evaluation.landscape import offsets
from starglot.plots.style import save, save_sentence, styled

_LEVELS = 12


def draw_landscapes(
    losses: Mapping[str, Mapping[str, np.ndarray]], counts: Mapping[str, int], stem: Path, title: str
) -> None:
    """Write ``{stem}.png`` and ``.svg``: a column for each model, a row for each subset of stars.

    losses: model -> subset -> (steps, steps) mean squared errors; counts: spectra of each subset.  Subsets without
    spectra are left out.  Colours are the logarithm, the same scale along a row.
    """
    subsets = [name for name, count in counts.items() if count]
    models = list(losses)
    if not subsets or not models:
        return save_sentence("no network was carried over", stem, title)
    at = offsets(len(next(iter(losses[models[0]].values()))))
    with styled():
        size = (2.5 * len(models) + 1.3, 2.4 * len(subsets) + 0.8)
        figure, axes = plt.subplots(len(subsets), len(models), figsize=size, squeeze=False, sharex=True, sharey=True)
        for row, subset in enumerate(subsets):
            logs = {model: np.log10(np.maximum(losses[model][subset], 1e-12)) for model in models}
            low = min(float(each.min()) for each in logs.values())
            high = max(float(each.max()) for each in logs.values())
            levels = np.linspace(low, max(high, low + 1e-3), _LEVELS)
            for column, model in enumerate(models):
                axis, loss = axes[row, column], losses[model][subset]
                filled = axis.contourf(at, at, logs[model], levels=levels, cmap="YlGnBu_r")
                y, x = np.unravel_index(int(np.argmin(loss)), loss.shape)
                axis.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=1.6)
                axis.plot(
                    at[x], at[y], "o", markerfacecolor="none", color="#e07a3c", markersize=7, markeredgewidth=1.6
                )
                text = f"here {loss[len(at) // 2, len(at) // 2]:.3g}\nleast {loss.min():.3g}"
                box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5}
                axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top", fontsize=7, bbox=box)
                axis.set_aspect("equal")
                axis.grid(False)
                if row == 0:
                    axis.set_title(model)
                if column == 0:
                    axis.set_ylabel(f"{subset}, N {counts[subset]:,}")
            bar = figure.colorbar(filled, ax=list(axes[row]), shrink=0.9, pad=0.01)
            bar.set_label("log10 of squared error")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        below = (
            "Steps along two random directions, in norms of the weights of each output neuron. "
            "Cross: what was learnt. Ring: the least loss."
        )
        figure.supxlabel(below, x=0.01, ha="left", fontsize=7.5, color="0.3")
        save(figure, stem)
