"""A spectrum as its survey's file has it, before cleaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RawSpectrum:
    """(n,) arrays: wavelength in vacuum Angstrom, flux (relative), its inverse variance, and a mask of bit sums.

    Inverse variance 0 marks a pixel without data; what each bit of the mask means is the survey's.
    """

    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    mask: NDArray[np.int64]
