"""Is a catalogue of ours any good?  Kiel diagram, repeats against their uncertainties, the survey's own labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes

from starglot.evaluation.statistics import NORMAL_MAD
from starglot.labels import LABELS
from starglot.plots.style import DENSITY_MAP, axis_text, save, save_sentence, styled

_COLUMNS = 4
_MARK = "#10206b"
#: Part of the values that a panel shows, in the middle.
_SHOWN = (0.003, 0.997)
_BINS = 60


def draw_plane(rows: pa.Table, own: Mapping[str, np.ndarray], stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: log g against Teff, coloured by [Fe/H]; the survey's own labels beside it.

    rows: of a catalogue with teff and logg, without flags; own: the survey's labels of the same rows, NaN where it
    has none.  Where nothing can be drawn, that is said.
    """
    sides = {"model": {name: numbers(rows, name) for name in ("teff", "logg", "feh")}, "survey": own}
    sides = {side: values for side, values in sides.items() if _both(values).any()}
    if "model" not in sides:
        return save_sentence("no spectrum has Teff and log g", stem, title)
    ends = {name: np.quantile(sides["model"][name][_both(sides["model"])], _SHOWN) for name in ("teff", "logg")}
    colours = np.concatenate([values["feh"][_both(values)] for values in sides.values() if "feh" in values])
    known = colours[np.isfinite(colours)]
    low, high = np.quantile(known, [0.02, 0.98]) if len(known) else (-1.0, 0.5)
    with styled():
        figure, axes = plt.subplots(
            1, len(sides), figsize=(4.4 * len(sides), 4.1), sharex=True, sharey=True, squeeze=False
        )
        for axis, (side, values) in zip(axes[0], sides.items(), strict=True):
            there = _both(values)
            feh = values.get("feh", np.full(len(there), np.nan))[there]
            order = np.argsort(np.nan_to_num(-feh, nan=np.inf))[::-1]  # the rare, metal-poor ones on top
            drawn = axis.scatter(
                values["teff"][there][order],
                values["logg"][there][order],
                c=np.where(np.isfinite(feh), feh, low)[order],
                s=float(np.clip(4000 / there.sum(), 0.5, 14)),
                cmap="cividis",
                vmin=low,
                vmax=high,
                linewidths=0,
                rasterized=True,
            )
            axis.set(
                title=f"{side}, N = {there.sum():,}", xlabel=axis_text("teff", side), ylabel=axis_text("logg", side)
            )
        for name, ends_of in ends.items():
            room = 0.06 * float(ends_of[1] - ends_of[0]) or 0.1
            getattr(axes[0][0], "set_xlim" if name == "teff" else "set_ylim")(ends_of[1] + room, ends_of[0] - room)
        figure.colorbar(drawn, ax=axes[0].tolist(), label="[Fe/H] (dex)", extend="both", pad=0.02)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def repeated(star: np.ndarray, obsid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (p,), (p,) of consecutive spectra of one star; a row without a star is in no pair."""
    order = np.lexsort((obsid, star))
    same = (star[order][1:] == star[order][:-1]) & (star[order][1:] != "")
    return order[:-1][same], order[1:][same]


def draw_pairs(rows: pa.Table, labels: Sequence[str], stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: differences of two spectra of one star, in units of their uncertainty.

    rows: of a catalogue, without flags.  A normal distribution of unit width is what uncertainties promise where they
    hold for noise alone; they hold more than that, and may be larger than what repeats show.
    """
    star = np.asarray(rows["star_id"].to_pylist(), object).astype(str)
    first, second = repeated(star, rows["obsid"].to_numpy())
    if not len(first):
        return save_sentence("no object has two spectra without flags", stem, title)

    def panel(axis: Axes, label: str) -> str:
        value, sigma = numbers(rows, label), numbers(rows, f"{label}_sigma")
        apart, width = value[first] - value[second], np.hypot(sigma[first], sigma[second])
        good = np.isfinite(apart) & (width > 0)
        if not good.any():
            return "no pairs"
        pull = apart[good] / width[good]
        axis.hist(np.clip(pull, -5, 5), bins=_BINS, range=(-5, 5), density=True, color="0.75")
        at = np.linspace(-5, 5, 201)
        axis.plot(at, np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi), color=_MARK, linewidth=1)
        axis.set_yticks([])
        scatter = NORMAL_MAD * np.median(np.abs(apart[good])) / np.sqrt(2)
        sigmas = float(np.median(width[good])) / np.sqrt(2)
        digits = LABELS[label].decimals + 1
        return f"{good.sum():,} pairs\nscatter {scatter:.{digits}f}\nsigma {sigmas:.{digits}f}"

    _panels(labels, panel, "difference of two spectra of one object / its sigma", "", stem, title)


def draw_own(rows: pa.Table, own: Mapping[str, np.ndarray], stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: the model's values against the survey's own.

    rows: of a catalogue, without flags; own: the survey's labels of the same rows, NaN where it has none.  Stars that
    the model was trained on are among them.
    """
    labels = [label for label, values in own.items() if np.isfinite(values).any()]
    if not labels:
        return save_sentence("the survey's catalogue has none of these labels", stem, title)

    def panel(axis: Axes, label: str) -> str:
        truth, value = own[label], numbers(rows, label)
        good = np.isfinite(truth) & np.isfinite(value)
        if not good.any():
            return "none in common"
        low, high = (float(end) for end in np.quantile(np.concatenate([truth[good], value[good]]), _SHOWN))
        room = 0.03 * (high - low) or 0.1
        span = (low - room, high + room)
        axis.hexbin(
            truth[good], value[good], gridsize=45, extent=(*span, *span), mincnt=1, bins="log", cmap=DENSITY_MAP
        )
        axis.plot(span, span, color="black", linewidth=0.7, linestyle="--")
        axis.set(xlim=span, ylim=span)
        apart = LABELS[label].residual.of(truth[good], value[good])
        digits = LABELS[label].decimals + 1
        middle = float(np.median(apart))
        scatter = NORMAL_MAD * float(np.median(np.abs(apart - middle)))
        return f"N = {good.sum():,}\nmedian {middle:+.{digits}f}\nscatter {scatter:.{digits}f}"

    _panels(labels, panel, "the survey's own", "the model's", stem, title)


def numbers(rows: pa.Table, name: str) -> np.ndarray:
    """A column as floats, NaN where null, and throughout where there is none."""
    if name not in rows.column_names:
        return np.full(len(rows), np.nan)
    values: np.ndarray = rows[name].to_numpy(zero_copy_only=False).astype(float)
    return values


def _both(values: Mapping[str, np.ndarray]) -> np.ndarray:
    if not {"teff", "logg"} <= set(values):
        return np.zeros(1, bool)
    return np.asarray(np.isfinite(values["teff"]) & np.isfinite(values["logg"]))


def _panels(
    labels: Sequence[str], panel: Callable[[Axes, str], str], across: str, up: str, stem: Path, title: str
) -> None:
    """A panel a label, which ``panel`` draws and says something of."""
    columns = min(_COLUMNS, len(labels))
    lines = -(-len(labels) // columns)
    with styled():
        figure, axes = plt.subplots(lines, columns, figsize=(2.9 * columns + 0.4, 2.7 * lines + 0.8), squeeze=False)
        for axis in axes.flat[len(labels) :]:
            axis.set_visible(False)
        for axis, label in zip(axes.flat, labels, strict=False):
            said = panel(axis, label)
            axis.text(0.04, 0.96, said, ha="left", va="top", transform=axis.transAxes, fontsize=7)
            axis.set_title(f"{LABELS[label].display} ({LABELS[label].unit})", pad=3)
        figure.supxlabel(across, fontsize=9)
        figure.supylabel(up, fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)
