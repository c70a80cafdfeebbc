"""Scatter of residuals against training spectra, and the laws through it."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import EngFormatter, FormatStrFormatter, LogLocator, NullFormatter

from starglot.evaluation.presentation import label_text
from starglot.evaluation.sweeps.power_law import LAW
from starglot.plots.style import save, styled

#: Colours differ in lightness, markers in shape.
_MARKS = (
    *(("#10206b", "o"), ("#b5541c", "s"), ("0.45", "^"), ("#2f6db3", "D"), ("#e0b030", "v"), ("#8c1515", "P")),
    *(("#3b7d4f", "X"), ("0.15", "<")),
)
_COLUMNS = 3
#: Ticks within a decade, for axes of at most so many decades.
_SUBS = (
    (0.6, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)),
    (1.2, (1.0, 2.0, 3.0, 5.0)),
    (2.2, (1.0, 2.0, 5.0)),
    (math.inf, (1.0,)),
)


def draw_scaling(points: pd.DataFrame, laws: pd.DataFrame, stem: Path, title: str, below: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: sigma of each label against N, a mark a model, in logarithms.

    points, laws: of ``evaluation.scaling.scaling_tables``.  Curves are drawn for the most passes of a model: whole
    and on to the extrapolation with its interval where the verdict is a power law, dotted within the data where not;
    fewer passes are open marks.  below: a sentence under the panels.
    """
    labels = list(dict.fromkeys(points["label"]))
    models = list(dict.fromkeys(points["model"]))
    columns = min(_COLUMNS, len(labels))
    rows = math.ceil(len(labels) / columns)
    with styled():
        figure, axes = plt.subplots(rows, columns, figsize=(3.5 * columns, 3.1 * rows + 0.9), squeeze=False)
        for axis, label in zip(axes.flat, labels, strict=False):
            for number, model in enumerate(models):
                here = (points["label"] == label) & (points["model"] == model)
                law = laws[(laws["label"] == label) & (laws["model"] == model) & (laws["axis"] == "spectra")]
                _model(axis, points[here], law, _MARKS[number % len(_MARKS)], model)
            _axes(axis, label)
        for axis in axes.flat[len(labels) :]:
            axis.set_visible(False)
        handles, names = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=min(5, len(names)))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        figure.supxlabel(below, x=0.01, ha="left", fontsize=7.5, color="0.3")
        save(figure, stem)


def _model(axis: Axes, points: pd.DataFrame, laws: pd.DataFrame, mark: tuple[str, str], name: str) -> None:
    colour, marker = mark
    most = points["passes"].max()
    for passes, curve in points.groupby("passes"):
        n, sigma, low, high = (curve[c].to_numpy(float) for c in ("n_train", "sigma", "sigma_lo", "sigma_hi"))
        bars = np.maximum(np.nan_to_num(np.stack([sigma - low, high - sigma])), 0)
        last = passes == most
        axis.errorbar(
            n * (1.0 if last else 0.96),
            sigma,
            yerr=bars,
            fmt=marker,
            color=colour,
            markerfacecolor=colour if last else "white",
            markersize=4.5 if last else 3.5,
            linewidth=1,
            alpha=1.0 if last else 0.6,
            label=name if last else None,
        )
    fitted = laws[(laws["passes"] == most) & laws["sigma_inf"].notna()]
    if not len(fitted):
        return
    law, n = fitted.iloc[0], points["n_train"].to_numpy(float)
    shown = law["verdict"] == LAW
    across = np.geomspace(n.min(), law["n_beyond"] if shown else n.max(), 100)
    alpha = 0.0 if pd.isna(law["alpha"]) else law["alpha"]
    curve = law["sigma_inf"] + law["a"] * across**-alpha
    axis.plot(across, curve, color=colour, linestyle="-" if shown else ":", linewidth=1.1)
    if shown and np.isfinite([law["beyond_lo"], law["beyond_hi"]]).all():
        ends = np.array([[law["beyond"] - law["beyond_lo"]], [law["beyond_hi"] - law["beyond"]]])
        axis.errorbar(
            [law["n_beyond"]],
            [law["beyond"]],
            yerr=np.maximum(ends, 0),
            fmt=marker,
            color=colour,
            markerfacecolor="white",
            markersize=4,
            capsize=2,
        )


def _axes(axis: Axes, label: str) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    _ticks(axis.xaxis)
    _ticks(axis.yaxis)
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))  # 1.5M, not 10 to some power
    axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_xlabel("training spectra")
    axis.set_ylabel(f"sigma of {label_text(label)}")


def _ticks(axis: Axis) -> None:
    """Ticks at round numbers; more of them per decade if there are fewer decades."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    subs = next(subs for most, subs in _SUBS if decades <= most)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_minor_formatter(NullFormatter())
