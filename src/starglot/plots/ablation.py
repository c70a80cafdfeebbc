"""An ablation as a figure: predicted against true values of the first setting's values, and MAE against every one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from starglot.evaluation.presentation import label_text
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.evaluation.sweeps.ablation import Training
from starglot.labels import LABELS
from starglot.plots.style import save, styled

#: Values whose greatest is so many times the least are drawn in logarithms.
_WIDE = 3.0


def draw_ablation(trainings: Sequence[Training], table: pd.DataFrame, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``; ``table`` is :func:`starglot.evaluation.sweeps.ablation.ablation_table`'s.

    Above, the first training at every value of the setting that is varied first; below, MAE against each setting,
    bars over objects, a dash for the constant.  For the table's first label.
    """
    label = str(table["label"].iloc[0])
    rows = table[table["label"] == label]
    varied = [name for name in dict.fromkeys(rows["varied"]) if name != "nothing"]
    shown = _at_values_of(trainings, varied[0]) if varied else list(trainings)[:1]
    with styled():
        columns = max(len(shown), len(varied))
        figure, axes = plt.subplots(2, columns, figsize=(2.6 * columns + 0.4, 5.4), squeeze=False)
        for axis, one in zip(axes[0], shown, strict=False):
            _scatter(axis, one, label, varied[0] if varied else "size")
        for axis, name in zip(axes[1], varied, strict=False):
            _errors(axis, rows, name)
        for axis in [*axes[0][len(shown) :], *axes[1][len(varied) :]]:
            axis.set_visible(False)
        axes[0][0].set_ylabel(f"predicted {label_text(label)}")
        axes[1][0].set_ylabel("MAE")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _at_values_of(trainings: Sequence[Training], name: str) -> list[Training]:
    """The first training at each value of a setting (by its last name), among those that vary it and the model."""
    found: dict[str, Training] = {}
    for one in trainings:
        if one.varied is None or one.varied.rpartition(".")[2] == name:
            found.setdefault(_value_of(one, name), one)
    return sorted(found.values(), key=lambda one: _number(_value_of(one, name), one))


def _value_of(one: Training, name: str) -> str:
    if name == "size":
        return one.size
    return next(f"{value:g}" for path, value in one.values.items() if path.rpartition(".")[2] == name)


def _number(text: str, one: Training) -> float:
    try:
        return float(text)
    except ValueError:  # a size by name
        return float(one.manifest.get("counts", {}).get("train") or 0)


def _scatter(axis: Axes, one: Training, label: str, name: str) -> None:
    rows = judged(read_predictions(one.predictions), label)
    low, high = LABELS[label].low, LABELS[label].high
    if len(rows):
        low, high = float(rows.truth.min()), float(rows.truth.max())
    room = 0.05 * (high - low) or 0.05
    axis.plot([low, high], [low, high], color="black", linewidth=0.8)
    axis.scatter(rows.truth, rows.value, s=5, color="#2f6db3", linewidths=0, rasterized=True)
    mae = np.abs(rows.error).mean() if len(rows) else np.nan
    axis.set(
        xlim=(low - room, high + room),
        ylim=(low - room, high + room),
        xlabel=f"true {label_text(label)}",
        title=f"{name.replace('_', ' ')} {_value_of(one, name)}: MAE {mae:.4f}",
    )


def _errors(axis: Axes, rows: pd.DataFrame, name: str) -> None:
    mine = rows[(rows["varied"] == name) | (rows["varied"] == "nothing")]
    place = mine["n_train"] if name == "size" else mine[name].astype(float)
    order = np.argsort(place.to_numpy(float), kind="stable")
    x, mine = place.to_numpy(float)[order], mine.iloc[order]
    y = mine["mae"].to_numpy(float)
    if {"mae_lo", "mae_hi"} <= set(mine.columns):
        bars = np.abs(np.stack([y - mine["mae_lo"].to_numpy(float), mine["mae_hi"].to_numpy(float) - y]))
        axis.errorbar(x, y, yerr=bars, fmt="o-", color="#10206b", markersize=4, capsize=2)
    else:
        axis.plot(x, y, "o-", color="#10206b", markersize=4)
    itself = (mine["varied"] == "nothing").to_numpy()
    axis.plot(x[itself], y[itself], "s", color="#e07a3c", markersize=7, zorder=3)
    axis.axhline(float(mine["constant_mae"].iloc[0]), color="0.4", linestyle="--", linewidth=0.9)
    axis.set(xlabel="training spectra" if name == "size" else name.replace("_", " "), ylim=(0, None))
    if x.min() > 0 and x.max() > _WIDE * x.min():
        axis.set_xscale("log")
        axis.set_xticks(x, [f"{value:g}" for value in x])
        axis.minorticks_off()
