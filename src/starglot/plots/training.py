"""Loss against training step of a language model, and against epoch of a network."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from starglot.errors import StarglotError
from starglot.plots.style import save, styled

#: The smooth line averages over this share of the points.
_SMOOTH = 0.05
#: Losses that span more than this factor are drawn on a logarithmic axis.
_WIDE = 20.0
#: Kind of language model -> what the loss of an answer is.
_LOSSES = {"llm": "loss per answer token (nats)", "patch_llm": "loss: numbers, class and text"}


def draw_curve(losses: Path, stem: Path, title: str, val_loss: float | None = None, kind: str = "llm") -> None:
    """Write ``{stem}.png`` and ``.svg`` from a training's ``loss.csv``: by epoch if it has epochs, otherwise by step.

    val_loss, kind: as in :func:`draw_loss`.  Raises StarglotError as :func:`draw_loss` and :func:`draw_epochs` do.
    """
    if "epoch" in pd.read_csv(losses, nrows=0).columns:
        draw_epochs(losses, stem, title)
    else:
        draw_loss(losses, stem, title, val_loss, kind)


def draw_epochs(losses: Path, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg`` from a CSV with columns ``epoch``, ``loss`` and ``val_loss``, a row an epoch.

    The epoch whose weights are used, the one with the lowest validation loss, is marked.
    Raises StarglotError when a column is missing or no row has a finite loss.
    """
    table = _read(losses, ("epoch", "loss", "val_loss"))
    epoch, loss, held_out = (table[name].to_numpy(float) for name in ("epoch", "loss", "val_loss"))
    with styled():
        figure, axis = plt.subplots(figsize=(6.4, 3.4))
        axis.plot(epoch, loss, color="0.55", marker=".", markersize=4, label="training, as seen")
        axis.plot(epoch, held_out, color="#2f6db3", marker="s", markersize=3, label="validation spectra")
        if np.isfinite(held_out).any():
            best = int(np.nanargmin(held_out))
            chosen = f"kept: epoch {epoch[best]:.0f}, {held_out[best]:.3g}"
            axis.axvline(epoch[best], color="#8c1515", linewidth=0.9, linestyle="--", label=chosen)
        _scale(axis, np.concatenate([loss, held_out]))
        axis.set(xlabel="epoch", ylabel="loss (class + weight x labels)")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
        axis.legend()
        save(figure, stem)


def draw_loss(losses: Path, stem: Path, title: str, val_loss: float | None = None, kind: str = "llm") -> None:
    """Write ``{stem}.png`` and ``.svg`` from a CSV with columns ``step`` and ``loss``.

    ``kind`` of the model says what its loss is.  ``val_loss`` is that on validation spectra after training, None
    where there are none.
    Raises StarglotError when a column is missing or no row has a finite loss.
    """
    table = _read(losses, ("step", "loss"))
    step, loss = table["step"].to_numpy(float), table["loss"].to_numpy(float)
    with styled():
        figure, axis = plt.subplots(figsize=(6.4, 3.4))
        axis.plot(step, loss, color="0.72", linewidth=0.9, marker=".", markersize=3, label="training")
        width = max(1, round(_SMOOTH * len(loss)))
        if width > 1:
            smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
            # Drawn at the middle of its points: at their end it would lag behind a falling loss.
            axis.plot(step[width // 2 :][: len(smooth)], smooth, color="#2f6db3", label=f"mean of {width} points")
        if val_loss is not None and np.isfinite(val_loss):
            text = f"validation spectra, after training: {val_loss:.3f}"
            axis.axhline(val_loss, color="#8c1515", linewidth=0.9, linestyle="--", label=text)
        _scale(axis, loss)
        axis.set(xlabel="optimiser step", ylabel=_LOSSES.get(kind, "loss"))
        if (lost := int((~np.isfinite(loss)).sum())) > 0:
            axis.text(0.02, 0.03, f"{lost} of {len(loss)} losses are not finite", transform=axis.transAxes)
        axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
        axis.legend()
        save(figure, stem)


def _read(losses: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of losses that has the columns and a finite loss."""
    table = pd.read_csv(losses)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise StarglotError(
            f"a table of losses lacks the column(s) {', '.join(missing)}",
            where=losses,
            allowed=" and ".join(columns),
            todo="train again",
        )
    if not np.isfinite(table["loss"].to_numpy(float)).any():
        raise StarglotError("a table of losses has no finite loss in it", where=losses, todo="train again")
    return table


def _scale(axis: Axes, loss: np.ndarray) -> None:
    """A logarithmic axis for positive losses of a wide range."""
    finite = loss[np.isfinite(loss)]
    if finite.min() > 0 and finite.max() / finite.min() > _WIDE:
        axis.set_yscale("log")
