"""Predicted against catalogue value, with residuals (paper figures 1-8)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from starglot.evaluation.presentation import error_decimals, with_unit
from starglot.evaluation.skill import r2, within_class_skill
from starglot.evaluation.statistics import robust_scatter
from starglot.labels import LABELS
from starglot.plots.points import Points, points
from starglot.plots.style import DENSE, DENSITY_MAP, axis_text, class_legend, marks_of, save, styled

#: Up to this many labels each get a residual panel; more are drawn as a grid of small panels.
_WIDE = 4
_GRID_COLUMNS = 7

#: Height over width of a residual panel; it is as wide as the panel above it.
_RESIDUAL_ASPECT = 0.38

#: Axes show this central share of the points, widened: one bad answer must not squeeze all others into a dot.
_SHOWN = 0.995


def draw_predicted(
    predictions: pa.Table, stem: Path, title: str, labels: Sequence[str], reference: str = "catalogue"
) -> None:
    """Write ``{stem}.png`` and ``.svg``: predicted against true value of each of ``labels``; reference: whose truth.

    ``predictions`` is a prediction table (``tables.PREDICTION``).  Up to four labels have a panel of residuals
    below; more make a grid of small panels.  Colour and marker give the class; above 3000 spectra a density is
    drawn.  Every panel says N, scatter and skill, and how many points lie outside it, or that it has none.
    """
    chosen = {label: points(predictions, label) for label in labels}
    with styled():
        if len(labels) <= _WIDE:
            figure, axes = plt.subplots(
                2,
                len(labels),
                figsize=(0.6 + 3.3 * len(labels), 5.0 if len(labels) > 1 else 5.6),
                height_ratios=[3, 3 * _RESIDUAL_ASPECT],
                layout="compressed",
                squeeze=False,
            )
            for column, (label, p) in enumerate(chosen.items()):
                _compare(axes[0, column], p, label, full=True)
                _residuals(axes[1, column], axes[0, column], p, label, reference)
        else:
            rows = -(-len(labels) // _GRID_COLUMNS)
            height = 0.9 + 2.15 * rows
            # Placed by hand: the automatic layout of many panels takes longer than drawing them.
            figure, axes = plt.subplots(rows, _GRID_COLUMNS, figsize=(14, height), squeeze=False, layout="none")
            figure.subplots_adjust(
                left=0.05, right=0.995, bottom=0.55 / height, top=1 - 0.65 / height, wspace=0.28, hspace=0.25
            )
            for axis, (label, p) in zip(axes.flat, chosen.items(), strict=False):
                _compare(axis, p, label, full=False)
            for axis in axes.flat[len(labels) :]:
                axis.set_axis_off()
            figure.supxlabel(f"{reference} (dex)", fontsize=9)
            figure.supylabel("predicted (dex)", fontsize=9)
        narrow = len(labels) == 1
        title = textwrap.fill(title, 45) if narrow else title
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        classes = sorted({c for p in chosen.values() if len(p) <= DENSE for c in p.classes})
        class_legend(figure, classes, below=narrow)
        save(figure, stem)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Ends of an axis that shows the central share of ``values`` with room around it."""
    low, high = np.quantile(values, [(1 - _SHOWN) / 2, (1 + _SHOWN) / 2])
    room = 0.08 * (high - low) or 0.05 * abs(high) or 0.1
    return float(low - room), float(high + room)


def _scatter(axis: Axes, x: np.ndarray, y: np.ndarray, letters: np.ndarray, size: float) -> None:
    # One class over the other would hide the one below: small open-edged markers, the rarest class on top.
    marks = marks_of(letter for letter in letters if letter is not None)
    members = [(mark, letters == name) for name, mark in marks.items()]
    for mark, here in sorted(members, key=lambda member: -int(member[1].sum())):
        axis.scatter(
            x[here], y[here], s=size, marker=mark.marker, color=mark.colour, alpha=0.75, linewidths=0, rasterized=True
        )
    unknown = np.array([letter is None for letter in letters], bool)
    axis.scatter(x[unknown], y[unknown], s=size, marker="x", color="0.4", linewidths=0.6, rasterized=True)


def _density(axis: Axes, x: np.ndarray, y: np.ndarray, extent: tuple[float, float, float, float]) -> PolyCollection:
    return axis.hexbin(
        x, y, gridsize=45, bins="log", mincnt=1, cmap=DENSITY_MAP, extent=extent, linewidths=0.1, rasterized=True
    )


def _compare(axis: Axes, p: Points, label: str, full: bool) -> None:
    known = LABELS.get(label)
    if not full:
        axis.set_title(known.display if known else label, pad=3)
        axis.tick_params(labelsize=7)
    if len(p) == 0:
        axis.text(0.5, 0.5, "no spectrum with\ntruth and answer", ha="center", va="center", transform=axis.transAxes)
        axis.set(xticks=[], yticks=[])
        axis.set_box_aspect(1)
        return
    low, high = _limits(np.concatenate([p.truth, p.value]))
    if len(p) > DENSE:
        drawn = _density(axis, p.truth, p.value, (low, high, low, high))
        if full:
            axis.figure.colorbar(drawn, ax=axis, location="top", shrink=0.7, aspect=30, pad=0.02, label="spectra")
    else:
        _scatter(axis, p.truth, p.value, p.letter, size=14 if full else 7)
    axis.plot([low, high], [low, high], color="black", linewidth=0.9, zorder=3)
    axis.set(xlim=(low, high), ylim=(low, high))
    axis.set_box_aspect(1)
    if full:
        axis.set_ylabel(axis_text(label, "predicted"))
    _write_statistics(axis, p, label, (low, high), full)


def _write_statistics(axis: Axes, p: Points, label: str, limits: tuple[float, float], full: bool) -> None:
    residual = p.residual
    known = LABELS.get(label)
    unit = known.unit if known else ""
    digits = 0 if unit == "K" else error_decimals(label)
    beyond = int(np.sum((np.minimum(p.truth, p.value) < limits[0]) | (np.maximum(p.truth, p.value) > limits[1])))
    if full:
        lines = [
            f"N = {len(p):,}",
            f"bias {residual.mean():+.{digits}f} {unit}",
            f"std {residual.std():.{digits}f} {unit}",
            f"robust {robust_scatter(residual):.{digits}f} {unit}",
            f"R² {r2(p.truth, p.value):.3f}",
            f"in class {within_class_skill(p.truth, p.value, p.letter):.3f}",
        ]
        if p.left_out:
            lines.append(f"no answer: {p.left_out}")
        if beyond:
            lines.append(f"outside: {beyond}")
    else:
        lines = [f"N {len(p):,}", f"R² {r2(p.truth, p.value):.2f}", f"σ {residual.std():.2f}"]
    axis.text(
        0.03,
        0.97,
        "\n".join(lines),
        transform=axis.transAxes,
        va="top",
        fontsize=7.5 if full else 6.5,
        linespacing=1.25,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
        zorder=4,
    )


def _residuals(axis: Axes, above: Axes, p: Points, label: str, reference: str) -> None:
    known = LABELS.get(label)
    axis.set_xlabel(axis_text(label, reference))
    axis.set_ylabel(with_unit(known.residual.words, known.unit) if known else "residual")
    if len(p) == 0:
        axis.set(xticks=[], yticks=[])
        axis.set_box_aspect(_RESIDUAL_ASPECT)
        return
    residual = p.residual
    span = 1.1 * float(np.quantile(np.abs(residual), _SHOWN)) or 0.1
    low, high = above.get_xlim()
    if len(p) > DENSE:
        _density(axis, p.truth, residual, (low, high, -span, span))
    else:
        _scatter(axis, p.truth, residual, p.letter, size=9)
    axis.axhline(0.0, color="black", linewidth=0.9, zorder=3)
    axis.set(xlim=(low, high), ylim=(-span, span))
    axis.set_box_aspect(_RESIDUAL_ASPECT)
