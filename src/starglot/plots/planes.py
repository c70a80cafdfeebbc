"""[X/Fe] against [Fe/H], label and prediction: does the model reproduce the sequences of the Galaxy?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
from matplotlib.ticker import MaxNLocator

from starglot.evaluation.rows import judged, values_of
from starglot.labels import ATMOSPHERE_NAMES, LABELS
from starglot.plots.style import DENSE, DENSITY_MAP, save, save_sentence, styled

_COLUMNS = 7
_SHOWN = 0.99
#: Inches of a column, and the least of a figure, whose title has to find room.
_COLUMN, _NARROWEST = 2.0, 7.0


def draw_planes(predictions: pa.Table, catalog: pa.Table, stem: Path, title: str, labels: Sequence[str]) -> None:
    """Write ``{stem}.png`` and ``.svg``: for each abundance two panels one above the other, label and prediction.

    labels: of which those of the atmosphere, [Fe/H] itself among them, are left out; catalog: obsid and feh,
    the catalogue's [Fe/H], the same in both.  When nothing can be drawn, that is said.
    """
    planes = {}
    for label in (each for each in labels if each not in ATMOSPHERE_NAMES):
        held = judged(predictions, label)
        feh = values_of(catalog, "feh", held.obsid)
        known = np.isfinite(feh)
        if known.any():
            planes[label] = feh[known], held.truth[known], held.value[known]
    if not planes:
        return save_sentence("no spectrum has an abundance and [Fe/H]", stem, title)
    columns = min(_COLUMNS, len(planes))
    blocks = -(-len(planes) // columns)
    every = np.concatenate([feh for feh, _, _ in planes.values()])
    left, right = np.quantile(every, [1 - _SHOWN, _SHOWN])
    with styled():
        # Placed by hand: the automatic layout of forty panels takes longer than drawing them.
        height, width = 1.0 + 2.7 * blocks, max(_COLUMN * columns, _NARROWEST)
        figure, axes = plt.subplots(2 * blocks, columns, figsize=(width, height), squeeze=False, layout="none")
        edges = {"left": 0.7 / width, "right": 1 - 0.07 / width, "bottom": 0.55 / height, "top": 1 - 0.55 / height}
        figure.subplots_adjust(**edges, wspace=0.3, hspace=0.25)
        for axis in axes.flat:
            axis.set_visible(False)
        for number, (label, (feh, truth, value)) in enumerate(planes.items()):
            block, column = divmod(number, columns)
            low, high = np.quantile(np.concatenate([truth, value]), [1 - _SHOWN, _SHOWN])
            room = 0.15 * (high - low) or 0.1
            for side, y in enumerate((truth, value)):
                axis = axes[2 * block + side, column]
                axis.set_visible(True)
                if len(feh) > DENSE:
                    axis.hexbin(
                        feh,
                        y,
                        gridsize=40,
                        bins="log",
                        mincnt=1,
                        cmap=DENSITY_MAP,
                        linewidths=0.1,
                        extent=(left, right, low - room, high + room),
                        rasterized=True,
                    )
                else:
                    axis.scatter(feh, y, s=3, color=("#10206b", "#b5541c")[side], linewidths=0, rasterized=True)
                axis.set(xlim=(left - 0.1, right + 0.1), ylim=(low - room, high + room))
                axis.tick_params(labelsize=7)
                axis.yaxis.set_major_locator(MaxNLocator(3))
                axis.xaxis.set_major_locator(MaxNLocator(4))
                lowest = side == 1 and number + columns >= len(planes)
                axis.tick_params(labelbottom=lowest)
                axis.text(0.03, 0.95, ("label", "predicted")[side], transform=axis.transAxes, va="top", fontsize=7)
            axes[2 * block, column].set_title(f"{LABELS[label].display}, N {len(feh):,}", pad=3)
        figure.supxlabel("[Fe/H], catalogue (dex)", fontsize=9)
        figure.supylabel("[X/Fe] (dex)", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)
