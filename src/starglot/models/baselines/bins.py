"""Bins of normalised flux."""

from __future__ import annotations

import numpy as np

from starglot.errors import StarglotError
from starglot.tables import FLUX_SCALE


def binned(flux: np.ndarray, width: int) -> np.ndarray:
    """Means of ``width`` grid values: int16 flux (n, grid) -> float32 (n, grid // width), normalised flux.

    What is left over at the red end is left out.  Raises StarglotError for a bin wider than the grid.
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
