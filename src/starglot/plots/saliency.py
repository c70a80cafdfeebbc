"""What each strategy's network looks at: |d label / d flux| at rest, with marks at lines."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from starglot.evaluation.explained import Sensitive
from starglot.evaluation.presentation import label_text
from starglot.evaluation.saliency import LINES
from starglot.plots.style import save, save_sentence, styled

#: Colours of marks by species: hydrogen, magnesium, calcium, iron.
_COLOURS = {"H I": "#8c1515", "Mg I": "#2f6db3", "Ca I": "#3b7d4f", "Ca II": "#3b7d4f", "Fe I": "0.55"}
_SHOWN = "all"


def draw_saliency(found: Mapping[str, Sensitive], label: str, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: flux, then a panel for each model; medians and 16 to 84 % of spectra."""
    found = {model: each for model, each in found.items() if len(each.saliency)}
    if not found:
        return save_sentence("no spectrum has a velocity", stem, title)
    any_one = next(iter(found.values()))
    with styled():
        figure, axes = plt.subplots(
            1 + len(found), 1, figsize=(9.5, 1.9 + 1.35 * len(found)), squeeze=False, sharex=True
        )
        _band(axes[0, 0], any_one.wavelength, any_one.flux[any_one.subsets[_SHOWN]], "black")
        axes[0, 0].set_ylabel("flux")
        top = 0.0
        for axis, (model, each) in zip(axes[1:, 0], found.items(), strict=True):
            middle = _band(axis, each.wavelength, each.saliency[each.subsets[_SHOWN]], "#10206b")
            top = max(top, float(np.nanmax(middle)))
            box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5}
            axis.text(0.006, 0.93, model, transform=axis.transAxes, va="top", fontsize=8, fontweight="bold", bbox=box)
        for axis in axes[1:, 0]:
            axis.set_ylim(0, 1.15 * top or 1.0)
        _marks(axes[:, 0], any_one.wavelength)
        axes[0, 0].set_xlim(any_one.wavelength[0], any_one.wavelength[-1])
        axes[-1, 0].set_xlabel("wavelength at rest, vacuum (Å)")
        count = int(any_one.subsets[_SHOWN].sum())
        name, _, unit = label_text(label).rpartition(" (")
        figure.supylabel(f"|d {name or label} / d flux| ({unit or ')'}", fontsize=9)
        figure.suptitle(f"{title}, N {count:,}", x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _band(axis: Axes, wavelength: np.ndarray, values: np.ndarray, colour: str) -> np.ndarray:
    """Median and 16 to 84 % of the spectra; the median is returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # ends that no spectrum reaches at rest
        low, middle, high = np.nanquantile(values, [0.16, 0.5, 0.84], axis=0)
    axis.fill_between(wavelength, low, high, color=colour, alpha=0.18, linewidth=0, rasterized=True)
    axis.plot(wavelength, middle, color=colour, linewidth=0.7)
    return np.asarray(middle)


def _marks(axes: np.ndarray, wavelength: np.ndarray) -> None:
    for line in LINES:
        if wavelength[0] < line.wavelength < wavelength[-1]:
            for axis in axes:
                axis.axvline(line.wavelength, color=_COLOURS[line.species], linewidth=0.8, alpha=0.7, zorder=0)
            if line.name:
                axes[0].text(
                    line.wavelength,
                    1.02,
                    line.name,
                    transform=axes[0].get_xaxis_transform(),
                    ha="center",
                    va="bottom",
                    fontsize=7,
                    color=_COLOURS[line.species],
                )
