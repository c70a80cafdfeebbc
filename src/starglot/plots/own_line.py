"""Response of predicted abundances to their own element alone."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from starglot.evaluation.presentation import fixed
from starglot.labels import LABELS
from starglot.plots.style import save, styled

#: From this response on a cell is dark, and its number white.
_DARK = 0.55


def draw_own_line(responses: pd.DataFrame, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: d(predicted)/d(true), a row a model and a column an element.

    A number is bold where the verdict is 'own lines'; a dash stands where there is none.
    responses: of ``evaluation.own_line.response_table``.
    """
    labels = list(dict.fromkeys(responses["label"]))
    models = list(dict.fromkeys(zip(responses["model"], responses["size"], strict=True)))
    cells = responses.set_index(["model", "size", "label"])
    shown = [[cells.loc[(*model, label)] for label in labels] for model in models]
    with styled():
        figure, axis = plt.subplots(figsize=(10.5, 1.5 + 0.32 * len(models)))
        values = [[cell["response"] for cell in row] for row in shown]
        image = axis.imshow(values, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        for y, row in enumerate(shown):
            for x, cell in enumerate(row):
                known = pd.notna(cell["response"])
                axis.text(
                    x,
                    y,
                    fixed(cell["response"], 2) if known else "–",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if known and cell["response"] > _DARK else "black",
                    fontweight="bold" if cell["verdict"] == "own lines" else "normal",
                )
        axis.set_xticks(range(len(labels)), [LABELS[label].display for label in labels], rotation=60, ha="right")
        axis.set_yticks(range(len(models)), [f"{model} ({size})" for model, size in models])
        axis.grid(False)
        figure.colorbar(image, ax=axis, label="d(predicted) / d(true)", extend="both", pad=0.01)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)
