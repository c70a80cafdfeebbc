"""How much the predictions of one star's visits differ, against S/N: the photon noise of the method."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from starglot.evaluation.presentation import label_text
from starglot.evaluation.rows import Judged, judged, values_of
from starglot.evaluation.statistics import NORMAL_MAD
from starglot.plots.binned import quantile_bins
from starglot.plots.style import save, snr_axis, styled

_FEW, _COLUMNS = 4, 7
_BINS, _LEAST = 5, 10
_SHOWN = 0.98
_SCATTER: dict[str, Any] = {"color": "#10206b", "marker": "o", "markersize": 3, "label": "robust scatter of a visit"}
_SIGMA: dict[str, Any] = {"color": "#b5541c", "linestyle": "--", "label": "median calibrated sigma"}


def visit_pairs(rows: Judged) -> tuple[np.ndarray, np.ndarray]:
    """Positions (p,), (p,) of consecutive visits of one star: rows are sorted by star and obsid."""
    first = np.flatnonzero(rows.star[1:] == rows.star[:-1])
    return first, first + 1


def draw_repeats(predictions: pa.Table, catalog: pa.Table, stem: Path, title: str, labels: Sequence[str]) -> None:
    """Write ``{stem}.png`` and ``.svg``: |difference| / sqrt 2 of consecutive visits against their lower S/N.

    catalog: obsid and snr_r.  The line is the robust scatter in bins of equal counts, the dashed one the median of
    the calibrated sigma, which also holds what visits have in common.  Without a star of two visits, that is said.
    """
    rows = {label: judged(predictions, label) for label in labels}
    columns = len(labels) if len(labels) <= _FEW else _COLUMNS
    lines = -(-len(labels) // columns)
    small = len(labels) > _FEW
    with styled():
        narrow = len(labels) == 1
        above = 1.3 if narrow else 0.7
        height = 0.4 + above + (2.0 if small else 2.9) * lines
        width = (2.0 if small else 3.4) * columns
        figure, axes = plt.subplots(lines, columns, figsize=(width, height), squeeze=False, layout="none")
        # Placed by hand: the automatic layout of many panels takes longer than drawing them.
        figure.subplots_adjust(
            left=0.75 / width, right=0.995, bottom=0.6 / height, top=1 - above / height, wspace=0.3, hspace=0.35
        )
        for axis in axes.flat[len(labels) :]:
            axis.set_visible(False)
        for axis, (label, held) in zip(axes.flat, rows.items(), strict=False):
            _panel(axis, held, values_of(catalog, "snr_r", held.obsid))
            axis.set_title(label_text(label), pad=3)
            axis.tick_params(labelsize=7 if small else 8)
            axis.yaxis.set_major_locator(MaxNLocator(4))
        figure.supxlabel("lower S/N of the two visits (r band, per pixel)", fontsize=9)
        figure.supylabel("|difference| / √2", fontsize=9)
        handles = [Line2D([], [], **style) for style in (_SCATTER, _SIGMA)]
        if narrow:
            title = textwrap.fill(title, 45)
            figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.5 / height))
        else:
            figure.legend(handles=handles, loc="upper right", ncols=2)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _panel(axis: Axes, rows: Judged, snr: np.ndarray) -> None:
    one, other = visit_pairs(rows)
    least = np.minimum(snr[one], snr[other])
    known = np.isfinite(least) & (least > 0)
    one, other, least = one[known], other[known], least[known]
    if not len(one):
        said = "no object has\ntwo visits"
        axis.text(0.5, 0.5, said, ha="center", va="center", transform=axis.transAxes, fontsize=8)
        return
    apart = np.abs(rows.value[one] - rows.value[other]) / np.sqrt(2.0)
    sigma = np.hypot(rows.sigma[one], rows.sigma[other]) / np.sqrt(2.0)
    snr_axis(axis)
    axis.scatter(least, apart, s=6, color="0.65", linewidths=0, rasterized=True)
    bins = quantile_bins(least, _BINS, _LEAST)
    if bins:
        at = [np.median(least[here]) for here in bins]
        # The median of |d| / sqrt 2 over its normal value is the robust scatter of one visit.
        scatter = [NORMAL_MAD * np.median(apart[here]) for here in bins]
        axis.plot(at, scatter, **_SCATTER)
        axis.plot(at, [np.nanmedian(sigma[here]) for here in bins], **_SIGMA)
    shown = np.concatenate([[np.quantile(apart, _SHOWN)], sigma[np.isfinite(sigma)]])
    axis.set_ylim(0, 1.15 * float(shown.max()) or 1.0)
    axis.text(0.97, 0.95, f"{len(one):,} pairs", ha="right", va="top", transform=axis.transAxes, fontsize=7)
