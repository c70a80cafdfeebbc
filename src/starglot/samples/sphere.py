"""Positions on the sky as unit vectors: no seam at 0 h, no crowding at the poles."""

from __future__ import annotations

import numpy as np

ARCSEC = np.pi / 180 / 3600


def unit_vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """(n, 3) unit vectors of positions in degrees."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def moved(ra: np.ndarray, dec: np.ndarray, pmra: np.ndarray, pmdec: np.ndarray, years: np.ndarray) -> np.ndarray:
    """(n, 3) unit vectors after ``years`` of proper motion (mas/yr, pmra with cos dec; NaN: not known, none).

    Straight along the great circle's tangent: exact to microarcseconds over decades for any known star.
    """
    start = unit_vectors(ra, dec)
    alpha, delta = np.radians(ra), np.radians(dec)
    east = np.stack([-np.sin(alpha), np.cos(alpha), np.zeros_like(alpha)], axis=1)
    north = np.stack([-np.sin(delta) * np.cos(alpha), -np.sin(delta) * np.sin(alpha), np.cos(delta)], axis=1)
    scale = ARCSEC * 1e-3 * np.asarray(years)
    known = np.isfinite(pmra) & np.isfinite(pmdec)
    shift_east = np.where(known, pmra, 0.0) * scale
    shift_north = np.where(known, pmdec, 0.0) * scale
    end = start + shift_east[:, None] * east + shift_north[:, None] * north
    return np.asarray(end / np.linalg.norm(end, axis=1, keepdims=True))


def chord(arcsec: float | np.ndarray) -> np.ndarray:
    """Length of the chord that subtends an angle, for searches among unit vectors."""
    return np.asarray(2 * np.sin(np.asarray(arcsec, np.float64) * ARCSEC / 2))


def separation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angle in arcsec between rows of unit vectors."""
    half = np.linalg.norm(one - other, axis=1) / 2
    return np.asarray(2 * np.arcsin(np.minimum(half, 1.0)) / ARCSEC)
