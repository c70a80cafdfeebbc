"""Residuals along S/N, Teff, log g and [Fe/H]: where a model is biased, and where it is uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes

from starglot.evaluation.presentation import label_text
from starglot.evaluation.rows import Judged, judged, values_of
from starglot.labels import LABELS
from starglot.plots.binned import quantile_bins
from starglot.plots.style import axis_text, save, snr_axis, styled

#: Up to this many labels are drawn point by point; more as a table of medians in colour.
_FEW = 4
_BINS, _LEAST = 8, 12
_COARSE_BINS = 6
_SHOWN = 0.99
_ALONG = ("snr_r", "teff", "logg", "feh")


def draw_trends(predictions: pa.Table, catalog: pa.Table, stem: Path, title: str, labels: Sequence[str]) -> None:
    """Write ``{stem}.png`` and ``.svg``: residuals of ``labels`` against S/N and the catalogue's Teff, log g, [Fe/H].

    catalog: obsid, snr_r, teff, logg, feh; one that is null throughout has no panel.  Up to four labels: points,
    running median and its 16 to 84 % band.  More: a cell for each label and bin, coloured by the median residual,
    which stands in it in 0.01 dex.
    """
    rows = {label: judged(predictions, label) for label in labels}
    rows = {label: held for label, held in rows.items() if len(held)}
    along = [name for name in _ALONG if catalog[name].null_count < len(catalog)] or ["snr_r"]
    with styled():
        if len(rows) <= _FEW:
            size = (max(3 * len(along), 6), 0.8 + 2.3 * max(len(rows), 1))
            figure, axes = plt.subplots(max(len(rows), 1), len(along), figsize=size, squeeze=False, sharey="row")
            for line, (label, held) in zip(axes, rows.items(), strict=False):
                for axis, name in zip(line, along, strict=True):
                    _points(axis, values_of(catalog, name, held.obsid), held.residual, name)
                line[0].set_ylabel(f"{label_text(label)}\npredicted - catalogue")
            for axis, name in zip(axes[-1], along, strict=True):
                axis.set_xlabel(_axis_name(name))
        else:
            figure, axes = plt.subplots(
                1, len(along), figsize=(14, 1.6 + 0.28 * len(rows)), sharey=True, squeeze=False
            )
            for axis, name in zip(axes[0], along, strict=True):
                _cells(axis, rows, catalog, name)
            figure.supylabel("median of predicted - catalogue, in 0.01 dex", fontsize=9)
            axes[0, 0].set_yticks(range(len(rows)), [LABELS[label].display for label in rows])
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _axis_name(name: str) -> str:
    return "S/N (r band, per pixel)" if name == "snr_r" else axis_text(name, "catalogue")


def _points(axis: Axes, x: np.ndarray, residual: np.ndarray, name: str) -> None:
    known = np.isfinite(x) & ((x > 0) | (name != "snr_r"))
    x, residual = x[known], residual[known]
    if name == "snr_r" and len(x):
        snr_axis(axis)
    axis.scatter(x, residual, s=5, color="0.65", linewidths=0, rasterized=True)
    found = [
        (np.median(x[here]), *np.quantile(residual[here], [0.16, 0.5, 0.84]))
        for here in quantile_bins(x, _BINS, _LEAST)
    ]
    if found:
        at, low, middle, high = np.array(found).T
        axis.fill_between(at, low, high, color="#2f6db3", alpha=0.25, linewidth=0)
        axis.plot(at, middle, color="#10206b", marker="o", markersize=3)
    axis.axhline(0.0, color="black", linewidth=0.8)
    if len(residual):
        span = 1.15 * float(np.quantile(np.abs(residual), _SHOWN)) or 1.0
        axis.set_ylim(-span, span)


def _cells(axis: Axes, rows: dict[str, Judged], catalog: pa.Table, name: str) -> None:
    """Medians of the residuals in bins of equal counts of all labels' spectra."""
    obsid = np.unique(np.concatenate([held.obsid for held in rows.values()]))
    x = values_of(catalog, name, obsid)
    bins = quantile_bins(x, _COARSE_BINS, _LEAST)
    axis.set_xlabel(_axis_name(name))
    axis.grid(False)
    if not bins:
        axis.set_xticks([])
        return
    edges = np.array([x[bins[0][0]], *(x[here[-1]] for here in bins)])
    median = np.full((len(rows), len(bins)), np.nan)
    for i, held in enumerate(rows.values()):
        at = values_of(catalog, name, held.obsid)
        place = np.clip(np.searchsorted(edges, at, side="left") - 1, 0, len(bins) - 1)
        for j in range(len(bins)):
            here = np.isfinite(at) & (place == j)
            if here.sum() >= 5:
                median[i, j] = np.median(held.residual[here])
    axis.imshow(median, cmap="PuOr", vmin=-0.15, vmax=0.15, aspect="auto")
    for i, j in np.argwhere(np.isfinite(median)):
        dark = abs(median[i, j]) > 0.1
        text = f"{round(100 * median[i, j]):+d}"
        axis.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    digits = 0 if name in ("snr_r", "teff") else 1
    axis.set_xticks(np.arange(len(edges)) - 0.5, [f"{edge:.{digits}f}" for edge in edges], fontsize=7)
