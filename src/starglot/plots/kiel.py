"""Kiel diagram: log g against Teff, catalogue next to prediction, coloured by [Fe/H]."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.plots.style import axis_text, save, save_sentence, styled

_LABELS = ("teff", "logg", "feh")


def draw_kiel(predictions: pa.Table, stem: Path, title: str) -> None:
    """Write ``{stem}.png`` and ``.svg``: the spectra whose Teff and log g are known on both sides, in two panels.

    A spectrum without [Fe/H] is drawn open and grey.  When nothing can be drawn, that is said.
    """
    rows = predictions.filter(pc.is_in(predictions["label"], pa.array(_LABELS)))
    rows = rows.filter(pc.equal(rows["status"], "ok"))
    wide = rows.select(["obsid", "label", "truth", "value"]).to_pandas().pivot(index="obsid", columns="label")
    sides = {
        side: np.stack(
            [wide[(side, name)] if (side, name) in wide else np.full(len(wide), np.nan) for name in _LABELS]
        )
        for side in ("truth", "value")
    }
    both = np.isfinite(sides["truth"][:2]).all(axis=0) & np.isfinite(sides["value"][:2]).all(axis=0)
    if not both.any():
        return save_sentence("no spectrum has Teff and log g in catalogue and prediction", stem, title)
    shown = {side: values[:, both] for side, values in sides.items()}
    metallicity = np.concatenate([values[2] for values in shown.values()])
    known = metallicity[np.isfinite(metallicity)]
    low, high = np.quantile(known, [0.02, 0.98]) if len(known) else (-1.0, 0.5)
    with styled():
        figure, axes = plt.subplots(1, 2, figsize=(8.4, 4.1), sharex=True, sharey=True)
        count = int(both.sum())
        size = float(np.clip(4000 / count, 1.5, 14))
        for axis, (side, name) in zip(axes, (("truth", "catalogue"), ("value", "predicted")), strict=True):
            teff, logg, feh = shown[side]
            bare = ~np.isfinite(feh)
            axis.scatter(teff[bare], logg[bare], s=size, facecolors="none", edgecolors="0.6", rasterized=True)
            drawn = axis.scatter(
                teff[~bare],
                logg[~bare],
                c=feh[~bare],
                s=size,
                cmap="cividis",
                vmin=low,
                vmax=high,
                linewidths=0,
                rasterized=True,
            )
            axis.set_title(f"{name}, N = {count:,}")
            axis.set_xlabel(axis_text("teff", name))
            axis.set_ylabel(axis_text("logg", name))
        teffs, loggs = (np.concatenate([shown["truth"][i], shown["value"][i]]) for i in (0, 1))
        for axis, values in (("x", teffs), ("y", loggs)):
            ends = np.quantile(values, [0.0025, 0.9975])
            room = 0.06 * float(ends[1] - ends[0]) or 0.1
            getattr(axes[0], f"set_{axis}lim")(ends[1] + room, ends[0] - room)
        figure.colorbar(drawn, ax=axes, label="[Fe/H] (dex)", extend="both")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)
