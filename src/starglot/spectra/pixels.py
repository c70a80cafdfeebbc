"""Pixels of cleaned spectra as patch tokens are made of them: over a smooth continuum, at full resolution.

A pixel is asinh((flux / continuum - 1) / 0.05), scaled so that no flux is -1 and twice the continuum is 1: weak lines
are written in proportion, deep ones in their logarithm, as in the text encodings.  What the continuum takes away
stays as coarse means of log flux.  A pixel that cleaning has filled in is NaN, as far as that can be seen
(:func:`crossed`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starglot.config.kinds.patch_llm import PixelAugment
from starglot.spectra.continuum import FLOOR, coarse_log_flux, smooth_continuum
from starglot.tables import FLUX_SCALE

#: Depths well below this are written in proportion, those well above in their logarithm.
WEAK = 0.05
#: The continuum is found on means of so many values: it is the same to a thousandth, at a tenth of the time.
_BIN = 10
#: Values of a straight line that count as one across a gap (cleaning crosses gaps of more than 30 A so), what
#: rounding makes of a straight line, and how many values at either end of one may belong to it by chance.
_STRAIGHT, _ROUNDING, _CHANCE = 40, 0.8, 3
#: On a survey's own pixels a line across a gap is wider than this (A) and of so many values and more, on LAMOST's
#: reddest.  Small noise makes lines of so few by chance: one counts if flux like that around it, within so many
#: values, is straight for so long less often than this.
_WIDE, _FEWEST, _AROUND, _RARE = 30.0, 15, 200, 1e-6
_LIGHT = 299792.458  # km/s

Floats = NDArray[np.float32]


def pixels(flux: np.ndarray, coarse: int, wave: np.ndarray) -> tuple[Floats, Floats]:
    """(n, m) stored int16 flux to pixels (n, m), NaN where a gap was crossed, and (n, coarse) log flux in 0 to 1.

    wave: (m,) the grid (A).
    """
    values = np.asarray(flux, dtype=np.float64) / FLUX_SCALE
    n, m = values.shape
    width = min(_BIN, max(1, m // _BIN))
    count = m // width
    binned = values[:, : count * width].reshape(n, count, width).mean(axis=2)
    at = np.clip((np.arange(m) - (width - 1) / 2) / width, 0, count - 1)
    low = np.minimum(at.astype(int), count - 2)
    part = at - low
    smooth = smooth_continuum(binned)
    continuum = smooth[:, low] * (1 - part) + smooth[:, low + 1] * part
    fine = np.arcsinh((values / continuum - 1) / WEAK) / np.arcsinh(1 / WEAK)
    fine = fine.clip(-1, 1).astype(np.float32)
    fine[crossed(flux, wave)] = np.nan
    shape = 1 - coarse_log_flux(values, coarse) / np.log(FLOOR)
    return fine, shape.astype(np.float32)


def crossed(flux: np.ndarray, wave: np.ndarray) -> NDArray[np.bool_]:
    """(n, m) stored flux to whether a value belongs to a straight line, by which cleaning crosses a wide gap.

    wave: (m,) the grid (A), along which the line is straight.  On an evenly spaced grid it is told from 40 values on:
    noise of half a thousandth and more is never straight for so long; a spectrum without any noise may be, where it
    is flat to a thousandth.  On any other grid, as of a survey's own pixels, it is told from 30 A on, among flux with
    noise: of one and a half thousandths and more, which is never straight for so long.

    Shorter gaps are crossed by a curve, which cannot be told from flux.
    """
    values = np.asarray(flux, dtype=np.int64)
    found = np.zeros(values.shape, bool)
    even = np.allclose(np.diff(wave), wave[-1] - wave[-2])
    along = np.arange(len(wave)) if even else wave
    bent = np.abs(np.diff(values, 2, axis=1)) > 1
    edges = np.diff(np.pad(~bent, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    for row in np.flatnonzero((~bent).sum(axis=1) >= (_STRAIGHT if even else _FEWEST) - 2):
        # A second difference is of three values.
        starts, stops = np.flatnonzero(edges[row] == 1), np.flatnonzero(edges[row] == -1) + 2
        chosen = stops - starts >= _STRAIGHT if even else _wide(bent[row], starts, stops, wave)
        for start, stop in zip(starts[chosen], stops[chosen], strict=True):
            inner = slice(start + _CHANCE, stop - _CHANCE)
            at = along[inner] - along[inner][0]
            line = np.polynomial.Polynomial.fit(at, values[row, inner], 1)(at)
            found[row, start:stop] = np.abs(values[row, inner] - line).max() <= _ROUNDING
    return found


def _wide(bent: np.ndarray, starts: np.ndarray, stops: np.ndarray, wave: np.ndarray) -> NDArray[np.bool_]:
    """Which of a row's straight runs are as wide as a gap, and longer than the flux around them makes by chance.

    bent: (m - 2,) whether the flux bends between three values; starts, stops: (runs,) of values; wave: (m,).
    """
    wide = (wave[stops - 1] - wave[starts] > _WIDE) & (stops - starts >= _FEWEST)
    first, last, length = np.maximum(starts - _AROUND, 0), np.minimum(stops + _AROUND, len(bent)), stops - starts - 2
    straight = np.cumsum(np.append(0, ~bent))
    chance = (straight[last] - straight[first] - length + 1) / (last - first - length + 2)
    told: NDArray[np.bool_] = wide & (length * np.log(chance) < np.log(_RARE))
    return told


def redraw_pixels(
    fine: Floats, coarse: Floats, augment: PixelAugment, noise: Floats, wave: np.ndarray, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Pixels (n, m) and coarse values (n, c) drawn anew; labels do not change by it.

    A shift by radial velocity (cubic interpolation), noise (level log-normal by row about ``augment.noise`` times
    ``noise`` (m,)), a slope and a bend of the coarse values, and windows that become NaN.  wave: the grid (A).
    """
    n, m = fine.shape
    if augment.velocity:
        shift = np.asarray(1 + augment.velocity * rng.standard_normal(n) / _LIGHT)
        fine = np.stack([_at(fine[row], wave, wave / shift[row]) for row in range(n)])
    if augment.noise:
        level = augment.noise * np.exp(0.5 * rng.standard_normal((n, 1)))
        fine = fine + level.astype(np.float32) * noise * rng.standard_normal((n, m), dtype=np.float32)
    if augment.tilt:
        at = np.linspace(-1, 1, coarse.shape[1])
        slope, bend = augment.tilt * rng.standard_normal((2, n, 1))
        coarse = coarse + (0.05 * (slope * at + 0.5 * bend * (at**2 - 1 / 3))).astype(np.float32)
    if augment.gaps:
        fine = fine.copy()
        for row in range(n):
            for _ in range(int(rng.poisson(augment.gaps))):
                first = int(rng.integers(0, m))
                fine[row, first : first + int(rng.integers(1, augment.gap_width + 1))] = np.nan
    return fine, coarse


def _at(row: Floats, wave: np.ndarray, wanted: np.ndarray) -> Floats:
    """One row at ``wanted`` wavelengths, by a cubic through four neighbours (Catmull and Rom); its ends are held."""
    at = np.interp(wanted, wave, np.arange(len(wave), dtype=np.float64)).clip(1, max(1, len(wave) - 2.001))
    left = at.astype(np.int64)
    part = (at - left).astype(np.float32)
    a, b, c, d = (row[np.minimum(left + step, len(row) - 1)] for step in (-1, 0, 1, 2))
    curve: Floats = b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))
    return curve
