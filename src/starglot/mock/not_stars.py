"""Spectra that no model of stars should answer with confidence: what else lies in a survey's files, and mistakes.

They are made of formulas, not of stars: the shapes are those that matter (where the lines are, how broad, which way
the continuum goes), the numbers are drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from starglot.mock.synthesis import grid

Array = NDArray[np.float64]

#: Rest wavelengths (vacuum A) and strengths of emission lines: of star-forming galaxies, of quasars.
_NARROW = ((3728.5, 3.0), (4341.7, 0.5), (4862.7, 1.2), (4960.3, 1.3), (5008.2, 4.0), (6564.6, 4.0), (6718.3, 0.8))
_BROAD = ((1549.5, 2.0), (1908.7, 1.2), (2799.1, 1.0), (4341.7, 0.4), (4862.7, 0.8), (6564.6, 2.5))
_BALMER = ((6564.6, 0.45), (4862.7, 0.6), (4341.7, 0.6), (4102.9, 0.5), (3971.2, 0.45), (3890.2, 0.35))
#: Absorption of old galaxies: Ca H and K, G band, Mg b, Na D; centre, depth, width (A, at rest).
_OLD = ((3934.8, 0.5, 12.0), (3969.6, 0.5, 12.0), (4305.6, 0.25, 20.0), (5176.6, 0.25, 25.0), (5895.6, 0.2, 10.0))


def _planck(wavelength: Array, kelvin: Array) -> Array:
    """(n, m) black bodies of (n,) temperatures, on any scale."""
    return wavelength**-5 / np.expm1(1.4388e8 / (wavelength * kelvin[:, None]))


def _lines(wavelength: Array, z: Array, lines: tuple[tuple[float, float], ...], width: Array) -> Array:
    """(n, m) Gaussian lines; width: (n,) sigma as a part of the wavelength."""
    total = np.zeros((len(z), len(wavelength)))
    for centre, strength in lines:
        at = centre * (1 + z)[:, None]
        total += strength * np.exp(-0.5 * ((wavelength - at) / (width[:, None] * at)) ** 2)
    return total


def _flat(rng: np.random.Generator, n: int, wavelength: Array) -> Array:
    return np.ones((n, len(wavelength)))


def _black_body(rng: np.random.Generator, n: int, wavelength: Array) -> Array:
    return _planck(wavelength, rng.uniform(3500, 30000, n))


def _white_dwarf(rng: np.random.Generator, n: int, wavelength: Array) -> Array:
    """Hydrogen white dwarfs: Balmer lines of tens of Angstrom."""
    flux, width = _planck(wavelength, rng.uniform(9000, 25000, n)), rng.uniform(35, 90, n)[:, None]
    for centre, depth in _BALMER:
        flux = flux * (1 - depth / (1 + ((wavelength - centre) / width) ** 2))
    return flux


def _old_galaxy(rng: np.random.Generator, n: int, wavelength: Array) -> Array:
    """A red continuum with a break at 4000 A and broad metal lines, at redshifts of 0.05 to 0.4."""
    rest = wavelength / (1 + rng.uniform(0.05, 0.4, n))[:, None]
    flux = (0.45 + 0.55 / (1 + np.exp(-(rest - 4000) / 40))) * (rest / 5500) ** rng.uniform(0, 1.5, n)[:, None]
    for centre, depth, width in _OLD:
        flux = flux * (1 - depth * np.exp(-0.5 * ((rest - centre) / width) ** 2))
    return flux


def _young_galaxy(rng: np.random.Generator, n: int, wavelength: Array) -> Array:
    """A blue continuum with narrow emission lines, at redshifts of 0.02 to 0.4."""
    z = rng.uniform(0.02, 0.4, n)
    slope = (wavelength / 5500) ** -rng.uniform(0.5, 2, n)[:, None]
    return slope + rng.uniform(0.3, 1.5, n)[:, None] * _lines(wavelength, z, _NARROW, np.full(n, 6e-4))


def _quasar(rng: np.random.Generator, n: int, wavelength: Array) -> Array:
    """A power law with broad emission lines, at redshifts of 0.1 to 2.5."""
    z = rng.uniform(0.1, 2.5, n)
    slope = (wavelength / 5500) ** -rng.uniform(0.5, 2, n)[:, None]
    return slope * (1 + _lines(wavelength, z, _BROAD, rng.uniform(5e-3, 1.5e-2, n)))


def _noise(rng: np.random.Generator, n: int, wavelength: Array) -> Array:
    return rng.normal(0.0, 1.0, (n, len(wavelength)))


#: Kind -> flux (n, m) at (m,) wavelengths; without noise, but for the last.
NOT_STARS: dict[str, Callable[[np.random.Generator, int, Array], Array]] = {
    "old galaxy": _old_galaxy,
    "star-forming galaxy": _young_galaxy,
    "quasar": _quasar,
    "white dwarf": _white_dwarf,
    "black body": _black_body,
    "flat line": _flat,
    "noise": _noise,
}


def not_stars(kind: str, n: int, seed: int, snr: tuple[float, float] = (30.0, 150.0)) -> tuple[Array, Array, Array]:
    """``n`` spectra of a kind of ``NOT_STARS``: wavelength (m,), flux (n, m), error (n, m).

    snr: between which the S/N of each is drawn, in equal parts of its logarithm.
    """
    rng, wavelength = np.random.default_rng([seed, list(NOT_STARS).index(kind)]), grid()
    flux = NOT_STARS[kind](rng, n, wavelength)
    level = np.median(np.abs(flux), axis=1, keepdims=True)
    drawn = np.exp(rng.uniform(np.log(snr[0]), np.log(snr[1]), (n, 1)))
    error = np.broadcast_to(level / drawn, flux.shape)
    return wavelength, flux + rng.normal(0.0, 1.0, flux.shape) * error, error
