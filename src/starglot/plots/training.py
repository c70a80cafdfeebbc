"""Loss against training step."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from starglot.errors import StarglotError
from starglot.plots.style import save, styled

#: The smooth line averages over this share of the points.
_SMOOTH = 0.05


def draw_loss(losses: Path, stem: Path, title: str, val_loss: float | None = None) -> None:
    """Write ``{stem}.png`` and ``.svg`` from a CSV with columns ``step`` and ``loss``, in nats per answer token.

    ``val_loss`` is the loss on validation stars after training, None where there are none.
    Raises StarglotError when a column is missing or no row has a finite loss.
    """
    table = pd.read_csv(losses)
    missing = [name for name in ("step", "loss") if name not in table.columns]
    if missing:
        raise StarglotError(
            f"a table of losses lacks the column(s) {', '.join(missing)}",
            where=losses,
            allowed="step and loss",
            todo="train again",
        )
    step, loss = table["step"].to_numpy(float), table["loss"].to_numpy(float)
    finite = np.isfinite(loss)
    if not finite.any():
        raise StarglotError("a table of losses has no finite loss in it", where=losses, todo="train again")
    with styled():
        figure, axis = plt.subplots(figsize=(6.4, 3.4))
        axis.plot(step, loss, color="0.72", linewidth=0.9, marker=".", markersize=3, label="training")
        width = max(1, round(_SMOOTH * len(loss)))
        if width > 1:
            smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
            # Drawn at the middle of its points: at their end it would lag behind a falling loss.
            axis.plot(step[width // 2 :][: len(smooth)], smooth, color="#2f6db3", label=f"mean of {width} points")
        if val_loss is not None and np.isfinite(val_loss):
            text = f"validation stars, after training: {val_loss:.3f}"
            axis.axhline(val_loss, color="#8c1515", linewidth=0.9, linestyle="--", label=text)
        positive = loss[finite]
        if positive.min() > 0 and positive.max() / positive.min() > 20:
            axis.set_yscale("log")
        axis.set(xlabel="optimiser step", ylabel="loss per answer token (nats)")
        if (lost := int((~finite).sum())) > 0:
            axis.text(0.02, 0.03, f"{lost} of {len(loss)} losses are not finite", transform=axis.transAxes)
        axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
        axis.legend()
        save(figure, stem)
