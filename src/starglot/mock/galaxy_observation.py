"""What SDSS's spectrographs make of a mock galaxy: redshift, calibration, sky lines, noise, flags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starglot.mock.galaxy_spectra import LOG_FIRST, LOG_STEP, PIXELS, Galaxies, populations, rest_spectra
from starglot.mock.sdss_files import BRIGHTSKY, SKY_LINES

#: First pixel and number of pixels of legacy spectra (3800-9221 A), of which a few are missing at either end.
FIRST, COUNT, MOST_MISSING = 3.5798, 3850, 25
#: Flux of a galaxy of magnitude 17 in i, in the files' unit (1e-17 erg/s/cm2/A), about.
_UNIT = 25.0
#: Bright lines of the night sky (vacuum A), and a forest of OH lines beyond 7200 A, one per so many pixels.
_BRIGHT = (4359.6, 5462.2, 5578.9, 5891.6, 5897.6, 6302.1, 6365.5, 7278.3, 7717.6, 7796.4, 7915.8, 8347.0, 8401.9)
_BRIGHTER = (8432.5, 8467.7, 8829.5, 8888.3, 8922.0)
_OH_EVERY, _OH_FROM = 13, 7200.0
#: What the atmosphere absorbs: from, to (A).
_TELLURIC = ((6868.0, 6920.0), (7594.0, 7680.0), (8140.0, 8290.0))


@dataclass(frozen=True)
class Coadd:
    """One spectrum: arrays (pixels,) in the files' units; loglam is log10 of the vacuum wavelength in A."""

    loglam: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    sky: np.ndarray
    model: np.ndarray


def observe(galaxies: Galaxies, visit: np.ndarray, magnitude: np.ndarray, seed: int) -> list[Coadd]:
    """The spectra of n galaxies, each of a visit (0 or 1) of its own; magnitude: (n,) in i."""
    rest = rest_spectra(galaxies, populations())
    grid = FIRST + LOG_STEP * np.arange(COUNT)
    sky = _sky(grid)
    out = []
    for at in range(len(galaxies.z)):
        rng = np.random.default_rng([seed, 41, int(galaxies.number[at]), int(visit[at])])
        out.append(_observed(galaxies.take(np.array([at])), rest[at], grid, sky, float(magnitude[at]), rng))
    return out


def _observed(
    galaxy: Galaxies, rest: np.ndarray, grid: np.ndarray, sky: np.ndarray, magnitude: float, rng: np.random.Generator
) -> Coadd:
    shift = np.log10(1 + galaxy.z[0])
    clean = np.interp(grid - shift, LOG_FIRST + LOG_STEP * np.arange(PIXELS), rest)
    clean = clean * (_UNIT * 10 ** (-0.4 * (magnitude - 17)) / np.median(clean))
    wave = 10**grid
    x = (wave - 6500) / 2700
    tilt = galaxy.tilt[0] + 0.3 * np.array([0.05, 0.03, 0.02]) * rng.standard_normal(3)  # other nights, other errors
    seen = clean * (1 + tilt[0] * x + tilt[1] * (x**2 - 0.4) + tilt[2] * np.sin(3 * x))
    for low, high in _TELLURIC:
        seen = seen * np.where((wave > low) & (wave < high), 1 + 0.02 * rng.standard_normal(), 1.0)
    level = float(np.median(clean))
    sigma = level / galaxy.snr[0] * np.sqrt(0.6 + 0.4 * np.maximum(seen, 0) / level)
    sigma = sigma * (1 + 1.2 * np.exp(-(wave - 3800) / 300) + 0.4 * np.exp(-(9221 - wave) / 300)) * (1 + 0.8 * sky)
    # Sky lines are not taken away quite: what is left follows the lines, and the files' errors know half of it.
    left = galaxy.sky[0] * sky * sigma * np.repeat(rng.standard_normal(-(-COUNT // 6)), 6)[:COUNT] * 0.5
    flux = seen + sigma * rng.standard_normal(COUNT) + left
    ivar = 1 / sigma**2
    ivar[rng.random(COUNT) < 0.002] = 0  # cosmic rays and bad columns
    first, last = rng.integers(0, MOST_MISSING, 2)
    part = slice(int(first), COUNT - int(last))
    bright = np.zeros(COUNT, np.int32)
    for low, high in SKY_LINES:
        bright[(wave >= low) & (wave <= high)] = BRIGHTSKY
    return Coadd(grid[part], flux[part], ivar[part], bright[part], (3 * level * (0.2 + sky))[part], clean[part])


def _sky(grid: np.ndarray) -> np.ndarray:
    """(pixels,) brightness of the night sky's lines relative to its continuum's noise; the same on all nights."""
    wave, rng = 10**grid, np.random.default_rng(42)
    lines = {centre: 1.5 for centre in _BRIGHT} | {centre: 2.5 for centre in _BRIGHTER}
    forest = wave[wave > _OH_FROM][::_OH_EVERY]
    lines |= {
        float(centre): float(strength)
        for centre, strength in zip(forest, rng.exponential(0.5, len(forest)), strict=True)
    }
    out = np.zeros(len(wave))
    for centre, strength in lines.items():
        out += strength * np.exp(-0.5 * ((wave - centre) / 2.0) ** 2)
    return out
