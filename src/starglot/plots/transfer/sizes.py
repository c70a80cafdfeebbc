"""R2 and scatter of models carried to another survey against the spectra that they learnt from there, by strategy."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FixedLocator, NullLocator

from starglot.evaluation.presentation import label_text
from starglot.plots.style import save, save_sentence, styled

#: Colour and marker of each strategy; the colours differ in lightness.
STRATEGY_MARKS: dict[str, tuple[str, str]] = {
    "residual": ("#b5541c", "s"),
    "lora": ("#10206b", "o"),
    "full": ("#2f6db3", "D"),
    "scratch": ("#e0b030", "v"),
    "zero_shot": ("0.45", "^"),
}
_ROWS = {"r2": "R2", "biweight": "biweight scatter"}


def draw_sizes(table: pd.DataFrame, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``; table: of ``transfer_sizes.sizes_table``, rows of all stars are drawn.

    Thin bars are intervals over stars, thick ones the scatter between seeds.  R2 below -0.5 is cut off.
    """
    table = table[(table["stars"] == "all") & table["strategy"].isin(STRATEGY_MARKS) & table["r2"].notna()]
    labels = list(dict.fromkeys(table["label"]))
    if not labels:
        return save_sentence("no model was carried over", stem, title)
    with styled():
        size = (3.3 * len(labels) + 0.4, 6.0)
        figure, axes = plt.subplots(2, len(labels), figsize=size, squeeze=False, sharex=True)
        for column, label in enumerate(labels):
            mine = table[table["label"] == label]
            for row, statistic in enumerate(_ROWS):
                axis = axes[row, column]
                models = list(dict.fromkeys(mine["model"]))
                for place, model in enumerate(models):
                    _curve(axis, mine[mine["model"] == model], statistic, place - (len(models) - 1) / 2)
                _scale(axis, mine, statistic)
                name, _, unit = label_text(label).rpartition(" (")
                name = name or label_text(label)
                axis.set_ylabel(f"R2 of {name}" if statistic == "r2" else f"scatter of {name} ({unit or 'dex)'}")
            axes[1, column].set_xlabel("training spectra")
        axes[0, 0].legend(loc="lower right", fontsize=7.5)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        below = (
            "Means over the seeds. Thin bars: 95 % over test stars; thick: scatter between seeds. Scatter: biweight."
        )
        figure.supxlabel(below, x=0.01, ha="left", fontsize=7.5, color="0.3")
        save(figure, stem)


def _curve(axis: Axes, rows: pd.DataFrame, statistic: str, place: float) -> None:
    rows = rows.sort_values("n_train")
    strategy, model = rows["strategy"].iloc[0], rows["model"].iloc[0]
    colour, marker = STRATEGY_MARKS[strategy]
    value, low, high, seeds = (rows[f"{statistic}{end}"].to_numpy(float) for end in ("", "_lo", "_hi", "_seeds"))
    if strategy == "zero_shot":
        axis.axhline(value[0], color=colour, linestyle="--", linewidth=1.1, label=model)
        if np.isfinite([low[0], high[0]]).all():
            axis.axhspan(low[0], high[0], color=colour, alpha=0.12, linewidth=0)
        return
    n = rows["n_train"].to_numpy(float) * 1.04**place  # beside each other, not on top
    ends = np.maximum(np.nan_to_num(np.stack([value - low, high - value])), 0)
    axis.errorbar(n, value, yerr=np.nan_to_num(seeds), fmt="none", ecolor=colour, elinewidth=3.0, alpha=0.35)
    axis.errorbar(n, value, yerr=ends, color=colour, marker=marker, markersize=4.5, elinewidth=0.8, label=model)


def _scale(axis: Axes, rows: pd.DataFrame, statistic: str) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(sorted({n for n in rows["n_train"].tolist() if n})))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    if statistic == "r2":
        axis.set_ylim(max(-0.5, axis.get_ylim()[0]), 1.0)
    else:
        axis.set_ylim(0, None)
