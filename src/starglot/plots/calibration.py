"""Are the uncertainties right?  Coverage against what was promised, PIT of the labels, coverage by label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa

from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import normal_half_width
from starglot.evaluation.uncertainty import SHOULD_COVER, pit
from starglot.labels import LABELS
from starglot.plots.style import save, save_sentence, styled

_LEVELS = np.linspace(0.05, 0.99, 30)
_PIT_BINS = 20


def draw_calibration(predictions: pa.Table, stem: Path, title: str, labels: Sequence[str]) -> None:
    """Write ``{stem}.png`` and ``.svg``: coverage of central intervals, histogram of PIT, 68 % coverage by label.

    Error bars are one binomial standard error of the number of stars.  Without any sigma, that is said.
    """
    pulls, stars = {}, {}
    for label in labels:
        rows = judged(predictions, label)
        rows = rows.where(np.isfinite(rows.sigma))
        if len(rows):
            pulls[label], stars[label] = -rows.error / rows.sigma, len(np.unique(rows.star))
    if not pulls:
        return save_sentence("no prediction has an uncertainty", stem, title)
    widths = np.array([normal_half_width(level) for level in _LEVELS])
    with styled():
        height = max(3.6, 0.9 + 0.2 * len(pulls))
        figure, axes = plt.subplots(1, 3, figsize=(12.5, height))
        for pull in pulls.values():
            axes[0].plot(_LEVELS, [np.mean(np.abs(pull) <= w) for w in widths], color="0.7", linewidth=0.8)
        every = np.concatenate(list(pulls.values()))
        inside = [np.mean(np.abs(every) <= w) for w in widths]
        axes[0].plot(_LEVELS, inside, color="#10206b", linewidth=1.8, label="all labels")
        axes[0].plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="as promised")
        axes[0].set(xlabel="promised coverage", ylabel="observed coverage", xlim=(0, 1), ylim=(0, 1))
        axes[0].set_aspect("equal")
        axes[0].legend(loc="upper left")
        axes[1].hist(pit(every), bins=_PIT_BINS, range=(0, 1), color="#2f6db3", edgecolor="white", density=True)
        axes[1].axhline(1.0, color="black", linewidth=0.8, linestyle="--")
        axes[1].set(xlabel="PIT: probability of the label under the prediction", ylabel="density", xlim=(0, 1))
        names = list(pulls)[::-1]
        covered = np.array([np.mean(np.abs(pulls[name]) <= normal_half_width(0.68)) for name in names])
        error = [np.sqrt(0.68 * 0.32 / stars[name]) for name in names]
        at = np.arange(len(names))
        axes[2].axvspan(*SHOULD_COVER, color="0.88", linewidth=0)
        axes[2].axvline(0.68, color="black", linewidth=0.8, linestyle="--")
        axes[2].errorbar(covered, at, xerr=error, fmt="o", color="#10206b", markersize=4, linewidth=1)
        axes[2].set_yticks(at, [f"{LABELS[name].display}  {stars[name]:,}" for name in names], fontsize=8)
        axes[2].set(xlabel="observed coverage of 68 % intervals", ylabel="label, objects")
        axes[2].set_xlim(min(0.45, covered.min() - 0.05), max(0.9, covered.max() + 0.05))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)
