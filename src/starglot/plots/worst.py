"""The spectra with the largest errors, drawn: is it the model, the spectrum, or the label?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pyarrow as pa

from starglot.evaluation.outliers import worst_spectra
from starglot.evaluation.rows import values_of
from starglot.labels import LABELS
from starglot.plots.style import save, save_sentence, styled
from starglot.spectra.resample import stored_grid
from starglot.tables import FLUX_SCALE, read_spectra

_SPECTRA, _COLUMNS = 6, 2
_NAMED = 2


def draw_worst(
    predictions: pa.Table, catalog: pa.Table, spectra: Sequence[Path], stem: Path, title: str, labels: Sequence[str]
) -> None:
    """Write ``{stem}.png`` and ``.svg``: the six worst spectra with their worst labels, truth → prediction.

    The error in brackets is in robust scatters of the label.  catalog: obsid and snr_r; spectra: files of the shards.
    When nothing can be judged, that is said.
    """
    worst = worst_spectra(predictions, labels, _SPECTRA)
    if worst.empty:
        return save_sentence("no label has two spectra with an error", stem, title)
    obsids = worst["obsid"].drop_duplicates().to_numpy()
    flux = read_spectra(spectra, obsids) / FLUX_SCALE
    wavelength = stored_grid(spectra[0])
    snr = values_of(catalog, "snr_r", obsids)
    lines = -(-len(obsids) // _COLUMNS)
    with styled():
        figure, axes = plt.subplots(lines, _COLUMNS, figsize=(13, 0.8 + 2.1 * lines), sharex=True, squeeze=False)
        for axis in axes.flat[len(obsids) :]:
            axis.set_visible(False)
        for axis, obsid, values, noise in zip(axes.flat, obsids, flux, snr, strict=False):
            rows = worst[worst["obsid"] == obsid]
            axis.plot(wavelength, values, color="#10206b", linewidth=0.6)
            said = []
            for row in rows.head(_NAMED).to_dict("records"):
                known = LABELS[row["label"]]
                values = " → ".join(f"{row[name]:.{known.decimals}f}" for name in ("truth", "value"))
                said.append(" ".join(filter(None, (known.display, values, known.unit, f"({row['error']:+.1f}σ)"))))
            axis.set_title(f"{obsid}, class {rows['class'].iloc[0]}, S/N {noise:.0f}", loc="left", pad=3)
            axis.set_title("; ".join(said), loc="right", pad=3, fontsize=7.5)
        figure.supxlabel("wavelength (Å, vacuum)", fontsize=9)
        figure.supylabel("normalised flux", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        save(figure, stem)
