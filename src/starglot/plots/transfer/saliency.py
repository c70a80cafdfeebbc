"""What each strategy's network looks at: |d label / d flux| at rest, with marks at lines."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from starglot.evaluation.presentation import label_text
from starglot.evaluation.transfer.explained import Sensitive
from starglot.evaluation.transfer.saliency import LINES
from starglot.plots.style import save, save_sentence, styled

#: Colours of marks by species: hydrogen, magnesium, calcium, iron.
_COLOURS = {"H I": "#8c1515", "Mg I": "#2f6db3", "Ca I": "#3b7d4f", "Ca II": "#3b7d4f", "Fe I": "0.55"}
_SHOWN = "all"
#: Colours of the two axes.
_SIDES = ("#10206b", "#b5541c")


def draw_saliency(found: Mapping[str, Sensitive], label: str, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: flux, then a panel for each model; medians and 16 to 84 % of spectra.

    Left axis: sensitivity; right axis: the same times the scatter of the flux between spectra.
    """
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
        name, _, unit = label_text(label).rpartition(" (")
        name, unit = (name, unit.rstrip(")")) if name else (label_text(label), "")
        pairs = [(axis, axis.twinx()) for axis in axes[1:, 0]]
        tops = np.zeros(2)
        for pair, (model, each) in zip(pairs, found.items(), strict=True):
            for side, (axis, values) in enumerate(zip(pair, (each.saliency, each.influence), strict=True)):
                middle = _band(axis, each.wavelength, values[each.subsets[_SHOWN]], _SIDES[side], band=side == 0)
                tops[side] = max(tops[side], float(np.nanmax(middle)))
                axis.tick_params(axis="y", colors=_SIDES[side])
                axis.grid(visible=False, axis="y")
            box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5}
            pair[1].text(
                0.006, 0.93, model, transform=pair[1].transAxes, va="top", fontsize=8, fontweight="bold", bbox=box
            )
        for pair in pairs:
            for axis, top, up in zip(pair, tops, (1.15, 1.9), strict=True):
                axis.set_ylim(0, up * top or 1.0)
        per_flux = f"{unit} " if unit else ""
        below = (
            f"Blue, left: |d {name} / d flux| ({per_flux}per unit of flux), with 16 to 84 % of spectra. Orange, "
            f"right: the same times the scatter of flux between spectra ({unit or 'no unit'})."
        )
        figure.text(0.01, 0.004, below, ha="left", va="bottom", fontsize=7.5, color="0.3")
        _marks(axes[:, 0], any_one.wavelength)
        axes[0, 0].set_xlim(any_one.wavelength[0], any_one.wavelength[-1])
        axes[-1, 0].set_xlabel("wavelength at rest, vacuum (Å)\n")
        count = int(any_one.subsets[_SHOWN].sum())
        figure.suptitle(f"{title}, N {count:,}", x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _band(axis: Axes, wavelength: np.ndarray, values: np.ndarray, colour: str, band: bool = True) -> np.ndarray:
    """Median and, with ``band``, 16 to 84 % of the spectra; the median is returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # ends that no spectrum reaches at rest
        low, middle, high = np.nanquantile(values, [0.16, 0.5, 0.84], axis=0)
    if band:
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
