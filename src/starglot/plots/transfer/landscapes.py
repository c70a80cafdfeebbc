"""Loss about what each strategy has learnt, along two random directions: contours by strategy and subset of stars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from starglot.evaluation.transfer.landscape import offsets
from starglot.plots.style import save, save_sentence, styled

_LEVELS = 12


def draw_landscapes(
    losses: Mapping[str, Mapping[str, np.ndarray]], counts: Mapping[str, int], stem: Path, title: str
) -> None:
    """Write ``{stem}.png`` and ``.svg``: a column for each model, a row for each subset of stars.

    losses: model -> subset -> (steps, steps) mean squared errors; counts: spectra of each subset.  Subsets without
    spectra are left out.  Colours are the logarithm; each panel has a scale of its own, as heads and updates move the
    answers by far less than all weights do.
    """
    subsets = [name for name, count in counts.items() if count]
    models = list(losses)
    if not subsets or not models:
        return save_sentence("no network was carried over", stem, title)
    at = offsets(len(next(iter(losses[models[0]].values()))))
    with styled():
        size = (3.0 * len(models) + 0.5, 2.5 * len(subsets) + 0.8)
        figure, axes = plt.subplots(len(subsets), len(models), figsize=size, squeeze=False, sharex=True, sharey=True)
        for row, subset in enumerate(subsets):
            for column, model in enumerate(models):
                axis, loss = axes[row, column], losses[model][subset]
                logs = np.log10(np.maximum(loss, 1e-12))
                levels = np.linspace(logs.min(), max(logs.max(), logs.min() + 1e-3), _LEVELS)
                filled = axis.contourf(at, at, logs, levels=levels, cmap="YlGnBu_r")
                bar = figure.colorbar(filled, ax=axis, shrink=0.85, pad=0.02, ticks=MaxNLocator(5))
                bar.ax.tick_params(labelsize=7)
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
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        below = (
            "Steps along two random directions, in norms of the weights of each output neuron. "
            "Colours: log10 of the squared error. Cross: what was learnt. Ring: the least loss."
        )
        figure.supxlabel(below, x=0.01, ha="left", fontsize=7.5, color="0.3")
        save(figure, stem)
