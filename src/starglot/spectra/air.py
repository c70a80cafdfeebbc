"""Wavelengths in air and in vacuum."""

from __future__ import annotations

import numpy as np


def air_to_vacuum(air: np.ndarray) -> np.ndarray:
    """Vacuum wavelengths (A) of air wavelengths (A); Morton (2000, ApJS 130, 403), eq. 8."""
    s2 = (1e4 / np.asarray(air, float)) ** 2
    index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)
    return air * index
