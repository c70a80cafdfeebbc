"""Catalogue class against answered class."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa

from starglot.evaluation.summary import class_confusion
from starglot.labels import CLASSES
from starglot.plots.style import DENSITY_MAP, save, save_sentence, styled


def draw_confusion(predictions: pa.Table, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: spectra by catalogue class (rows) and answer, with the share of the row.

    When no answer names a class, that is said.
    """
    counts = class_confusion(predictions)
    if counts.empty:
        return save_sentence("no answer names a class", stem, title)
    answers = [*CLASSES, "none"]
    table = counts[answers].to_numpy(float)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with styled():
        figure, axis = plt.subplots(figsize=(5.2, 4.3))
        drawn = axis.imshow(share, cmap=DENSITY_MAP, vmin=0, vmax=1)
        for i, j in np.ndindex(*table.shape):
            if table[i, j]:
                text = f"{int(table[i, j]):,}\n{100 * share[i, j]:.0f} %"
                axis.text(j, i, text, ha="center", va="center", color="white" if share[i, j] > 0.5 else "black")
        axis.set_xticks(range(len(answers)), answers)
        axis.set_yticks(range(len(CLASSES)), [f"{c} ({int(n):,})" for c, n in zip(CLASSES, counts["n"], strict=True)])
        axis.set(xlabel="class answered", ylabel="class of the catalogue (N)")
        axis.grid(False)
        figure.colorbar(drawn, ax=axis, label="share of the row")
        figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
        save(figure, stem)
