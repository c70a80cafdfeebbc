"""Coarser grids: the mean of neighbouring values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starglot.errors import StarglotError
from starglot.tables import FLUX_SCALE


def rebin(flux: ArrayLike, width: int) -> NDArray[np.float64]:
    """Mean of each ``width`` neighbouring values; values left over at the red end are dropped.

    flux: (n, grid) in any unit.  Returns (n, grid // width) in the same unit.  A row's result does not depend
    on the other rows.  Raises ValueError when ``width`` is not in 1..grid.
    """
    values = np.asarray(flux, dtype=np.float64)
    rows, grid = values.shape
    if not 1 <= width <= grid:
        raise ValueError(f"a bin of {width} values does not fit a grid of {grid}")
    bins = grid // width
    if width == 1:
        return values.copy()
    means: NDArray[np.float64] = values[:, : bins * width].reshape(rows, bins, width).mean(axis=2)
    return means


def rebin_wavelength(wavelength: ArrayLike, width: int) -> NDArray[np.float64]:
    """Mean wavelength of each bin of :func:`rebin`: (grid,) in, (grid // width,) out, in the unit given."""
    means: NDArray[np.float64] = rebin(np.asarray(wavelength, dtype=np.float64)[None], width)[0]
    return means


def binned(flux: np.ndarray, width: int) -> np.ndarray:
    """Means of ``width`` grid values: int16 flux (n, grid) -> float32 (n, grid // width), normalised flux.

    What models of flux are shown, in half the memory of :func:`rebin`.  What is left over at the red end is left out.
    Raises StarglotError for a bin wider than the grid.
    """
    m = flux.shape[1] // width
    if m < 1:
        raise StarglotError(
            f"a bin of {width} values is wider than the grid",
            where="models: bin",
            allowed=f"1 to {flux.shape[1]}",
            todo="lower `bin`",
        )
    if width == 1:
        return flux.astype(np.float32) / np.float32(FLUX_SCALE)
    means: np.ndarray = flux[:, : m * width].reshape(len(flux), m, width).mean(axis=2, dtype=np.float32)
    return means / np.float32(FLUX_SCALE)
