"""[alpha/Fe] against [Fe/H] by strategy, with the distance from the plane of the labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from starglot.evaluation.presentation import label_text
from starglot.evaluation.transfer.planes import AXES, Plane
from starglot.plots.style import DENSE, DENSITY_MAP, save, save_sentence, styled

_COLUMNS = 4


def draw_abundance_planes(
    planes: Mapping[tuple[str, str, str, str], Plane], table: pd.DataFrame, stem: Path, title: str
) -> None:
    """Write ``{stem}.png`` and ``.svg``: a panel for each plane by (task, model, size, set), and one of the labels.

    table: of ``abundance_planes.mmd_table``, rows in the order of ``planes``.  Grey dots are the labels.
    """
    drawn = {key: plane for key, plane in planes.items() if len(plane.star)}
    if not drawn:
        return save_sentence("no spectrum has both [Fe/H] and [alpha/Fe]", stem, title)
    said = dict(zip(planes, table.to_dict("records"), strict=True))
    widest = max(drawn.values(), key=lambda plane: len(plane.star)).truth
    every = np.concatenate([widest, *(plane.predicted for plane in drawn.values())])
    low, high = np.quantile(every, [0.002, 0.998], axis=0)
    room = 0.08 * (high - low) + 0.02
    count = len(drawn) + 1
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    with styled():
        size = (2.5 * columns + 0.5, 2.4 * rows + 0.7)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
        for axis, (key, plane) in zip(axes.flat, drawn.items(), strict=False):
            axis.scatter(plane.truth[:, 0], plane.truth[:, 1], s=3, color="0.8", linewidths=0, rasterized=True)
            _cloud(axis, plane.predicted, "#10206b")
            row = said[key]
            axis.set_title(key[1] if len({k[2] for k in drawn}) == 1 else f"{key[1]} ({key[2]})")
            text = f"MMD$^2$ {row['mmd2']:.4f}\n[{row['mmd2_lo']:.4f}, {row['mmd2_hi']:.4f}]\nN {row['n']:,}"
            axis.text(0.03, 0.03, text, transform=axis.transAxes, va="bottom", fontsize=7)
        last = axes.flat[len(drawn)]
        _cloud(last, widest, "#b5541c")
        last.set_title("labels")
        for place, axis in enumerate(axes.flat):
            axis.tick_params(labelbottom=place + columns >= count)
            if place >= count:
                axis.set_axis_off()
        axes.flat[0].set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - 3 * room[1], high[1] + room[1]))
        figure.supxlabel(label_text(AXES[0]), fontsize=9)
        figure.supylabel(label_text(AXES[1]), fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)


def _cloud(axis: Axes, points: np.ndarray, colour: str) -> None:
    if len(points) > DENSE:
        axis.hexbin(*points.T, gridsize=50, bins="log", mincnt=1, cmap=DENSITY_MAP, linewidths=0.1, rasterized=True)
    else:
        across, up = points.T
        axis.scatter(across, up, s=5, color=colour, linewidths=0, alpha=0.7, rasterized=True)
