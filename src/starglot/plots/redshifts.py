"""Predicted against true redshifts, a panel for each model; and failures among the surest answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from starglot.evaluation.redshifts import CATASTROPHIC, LABEL, failed, surest_first
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.plots.style import save, styled

_COLUMNS = 4
#: Fewer answers make no share of failures.
_LEAST = 20


def draw_redshifts(predictions: Mapping[tuple[str, str, str, str], Path], stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``; predictions: by (task, model, size, set).

    Catastrophic failures are crosses; each panel says MAE, their share, and N.
    """
    found = {key: judged(read_predictions(path), LABEL) for key, path in predictions.items()}
    truth = np.concatenate([rows.truth for rows in found.values()] or [np.zeros(0)])
    low, high = (float(truth.min()), float(truth.max())) if len(truth) else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.05
    columns = min(_COLUMNS, max(len(found), 1))
    lines = -(-max(len(found), 1) // columns)
    with styled():
        size = (2.6 * columns + 0.5, 2.7 * lines + 0.6)
        figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
        for axis, ((_, model, name, chosen), rows) in zip(axes.flat, found.items(), strict=False):
            bad = failed(rows)
            axis.plot([low, high], [low, high], color="black", linewidth=0.8, zorder=3)
            axis.scatter(rows.truth[~bad], rows.value[~bad], s=5, color="#2f6db3", linewidths=0, rasterized=True)
            axis.scatter(
                rows.truth[bad],
                rows.value[bad],
                s=9,
                marker="x",
                color="#e07a3c",
                linewidths=0.6,
                rasterized=True,
            )
            axis.set_title(f"{model} ({name}, {chosen})", fontsize=8)
            if len(rows):
                said = f"MAE {np.abs(rows.error).mean():.4f}\nfailed {100 * bad.mean():.1f} %\nN {len(rows)}"
                axis.text(0.04, 0.96, said, va="top", transform=axis.transAxes, fontsize=7)
        for axis in axes.flat[len(found) :]:
            axis.set_axis_off()
        axes.flat[0].set(xlim=(low - room, high + room), ylim=(low - room, high + room))
        figure.supxlabel("redshift, catalogue", fontsize=9)
        figure.supylabel("redshift, predicted", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def draw_completeness(predictions: Mapping[tuple[str, str, str, str], Path], stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: catastrophic share of the surest answers by what part of them is taken.

    predictions: by (task, model, size, set); a panel a set, a line a model, by gap where it tells one, else by sigma
    (dashed).
    """
    sets = list(dict.fromkeys(chosen for *_, chosen in predictions)) or [""]
    models = list(dict.fromkeys(model for _, model, *_ in predictions))
    with styled():
        size = (6.2 * len(sets), 4.0)
        figure, axes = plt.subplots(1, len(sets), figsize=size, squeeze=False, sharey=True)
        for axis, chosen in zip(axes.flat, sets, strict=True):
            for (_, model, _, name), path in predictions.items():
                if name == chosen:
                    _draw_surest(axis, path, model, f"C{models.index(model)}")
            axis.set(xlim=(0, 1), xlabel="completeness: part of the spectra, the surest first")
            if len(sets) > 1:
                axis.set_title(chosen, fontsize=8)
            if axis.lines:
                axis.legend(fontsize=7)
        first = axes.flat[0]
        first.set_yscale("symlog", linthresh=1.0)  # from none to all, and 0.5 % is not 0
        first.yaxis.set_major_locator(FixedLocator([0, 0.5, 1, 2, 5, 10, 20, 50, 100]))
        first.yaxis.set_major_formatter("{x:g}")
        first.set(ylim=(0, None), ylabel=f"beyond {CATASTROPHIC:.0f} km/s among them (%)")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _draw_surest(axis: Axes, path: Path, model: str, color: str) -> None:
    """The line of a model, where its answers are enough and ordered."""
    rows = judged(read_predictions(path), LABEL)
    orders = surest_first(rows, path)
    if len(rows) < _LEAST or not orders:
        return
    name = "gap" if "gap" in orders else "sigma"
    bad = failed(rows)[orders[name]]
    taken = np.arange(1, len(bad) + 1)
    share = np.cumsum(bad) / taken
    enough = taken >= _LEAST
    line = "-" if name == "gap" else "--"
    axis.plot(taken[enough] / len(bad), 100 * share[enough], line, color=color, label=f"{model} (by {name})")
