"""Augmentation: photon-like noise and a smooth tilt, so that a training spectrum is never twice the same."""

from __future__ import annotations

import numpy as np

from starglot.config.strict import Augment


def redraw_flux(flux: np.ndarray, augment: Augment, rng: np.random.Generator) -> np.ndarray:
    """(n, m) flux with photon-like noise and a smooth tilt of its own per row; the maximum of each row is 1 again.

    Noise grows with the square root of the flux and its level varies by row (log-normal, sigma 0.5) about
    ``augment.noise``; the tilt is a slope and a bend in the exponent, ``augment.tilt`` at the ends.
    """
    rows, width = flux.shape
    level = augment.noise * np.exp(0.5 * rng.standard_normal((rows, 1)))
    # Not below the sky's noise, where a star has next to no flux.
    out = flux + level * np.sqrt(np.clip(flux, 0.05, None)) * rng.standard_normal(flux.shape)
    at = np.linspace(-1, 1, width)
    slope, bend = augment.tilt * rng.standard_normal((2, rows, 1))
    out = out * np.exp(slope * at + 0.5 * bend * (at**2 - 1 / 3))
    scaled: np.ndarray = out / out.max(axis=1, keepdims=True)
    return scaled
