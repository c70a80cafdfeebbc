"""One reversing layer in local thermodynamic equilibrium: what a star's parameters do to its lines and continuum.

A stellar atmosphere is reduced to a single layer.  Its electron pressure follows from Teff, log g and [Fe/H]
(hydrostatic equilibrium with H-, hydrogen and electron opacity; Gray, "The Observation and Analysis of Stellar
Photospheres", chapters 1, 8 and 9); ionisation and excitation are Saha's and Boltzmann's; a curve of growth turns
the line-to-continuum opacity ratio into an equivalent width.  So every line answers to temperature, gravity and its
own element's abundance in the direction, and roughly with the size, that a real one does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starglot.mock.lines import ELEMENTS

BOLTZMANN = 1.380649e-16  # erg / K
HYDROGEN_MASS = 1.6735e-24  # g
#: Temperature of the line-forming layer over Teff, and its optical depth in the continuum.
LAYER_TEMPERATURE = 0.93
LAYER_DEPTH = 0.35
#: Elements that give electrons in cool stars, by number per hydrogen atom at solar abundance.
_DONORS = ("Na", "Mg", "Al", "Si", "K", "Ca", "Fe", "C")
_HELIUM = 0.085


@dataclass(frozen=True)
class Layer:
    """Line-forming layers of n stars; every array has shape (n,).

    temperature: K; log_pe: log10 electron pressure (dyn/cm2); hydrogen: neutral and ionised H atoms per cm3;
    neutral_hydrogen: fraction of H that is neutral; opacity: continuous opacity at 5000 A, cm2 per H atom.
    """

    temperature: np.ndarray
    log_pe: np.ndarray
    hydrogen: np.ndarray
    neutral_hydrogen: np.ndarray
    opacity: np.ndarray

    @property
    def theta(self) -> np.ndarray:
        """5040 K / T."""
        return 5040.0 / self.temperature

    @property
    def electrons(self) -> np.ndarray:
        """Free electrons per cm3."""
        density: np.ndarray = 10**self.log_pe / (BOLTZMANN * self.temperature)
        return density


def saha(temperature: np.ndarray, log_pe: np.ndarray, ionisation: float, partition_ratio: float) -> np.ndarray:
    """N(r+1)/N(r) at temperature (K) and log10 electron pressure (dyn/cm2) for an ionisation energy in eV."""
    exponent = -0.1761 + np.log10(partition_ratio) + 2.5 * np.log10(temperature) - 5040 / temperature * ionisation
    ratio: np.ndarray = 10 ** np.clip(exponent - log_pe, -30, 30)
    return ratio


def hydride_ion_opacity(wavelength: np.ndarray, temperature: np.ndarray, log_pe: np.ndarray) -> np.ndarray:
    """Bound-free absorption of H- in cm2 per neutral H atom (Gray, eqs. 8.11-8.12); wavelength in A, 3000-15000."""
    w = wavelength
    cross = 1.99654 - 1.18267e-5 * w + 2.64243e-6 * w**2 - 4.40524e-10 * w**3 + 3.23992e-14 * w**4
    cross = 1e-18 * (cross - 1.39568e-18 * w**5 + 2.78701e-23 * w**6)
    theta = 5040 / temperature
    return 4.158e-10 * cross * 10 ** (log_pe + 0.754 * theta) * theta**2.5


def hydrogen_opacity(wavelength: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Bound-free absorption of H in cm2 per neutral H atom, levels 2-6; the Balmer edge is smeared over 3650-3750 A.

    The smearing stands for the high Balmer lines, which run into one another before the edge.
    """
    total: np.ndarray = np.zeros(np.broadcast_shapes(wavelength.shape, temperature.shape))
    for level in range(2, 7):
        edge = 911.75 * level**2 if level > 2 else 3700.0
        share = 1 / (1 + np.exp(np.clip((wavelength - edge) / 18.0, -50, 50)))
        energy = 13.598 * (1 - level**-2)
        total = total + share * wavelength**3 / level**5 * 10 ** (-5040 / temperature * energy) * level**2
    opacity: np.ndarray = 1.0449e-26 * total
    return opacity


def continuous_opacity(
    wavelength: np.ndarray, temperature: np.ndarray, log_pe: np.ndarray, neutral: np.ndarray
) -> np.ndarray:
    """H- and H bound-free, and electron scattering, in cm2 per H atom; arguments broadcast."""
    electrons_per_atom = np.maximum(1 - neutral, 1e-8)
    opacity: np.ndarray = (
        neutral * hydride_ion_opacity(wavelength, temperature, log_pe) * 1.15
        + neutral * hydrogen_opacity(wavelength, temperature)
        + 6.652e-25 * electrons_per_atom
    )
    return opacity


def layer(teff: np.ndarray, logg: np.ndarray, feh: np.ndarray) -> Layer:
    """Solve n stars' layers for the electron pressure at which the optical depth is LAYER_DEPTH (bisection)."""
    temperature = LAYER_TEMPERATURE * np.asarray(teff, float)
    low, high = np.full(temperature.shape, -8.0), np.full(temperature.shape, 6.0)
    reference = np.array(5000.0)
    for _ in range(45):
        log_pe = 0.5 * (low + high)
        neutral, electrons = _ionisation(temperature, log_pe, feh)
        gas = 10**log_pe * (1 + _HELIUM + electrons) / electrons
        opacity = continuous_opacity(reference, temperature, log_pe, neutral) / (1.4 * HYDROGEN_MASS)
        too_deep = gas * opacity > LAYER_DEPTH * 10 ** np.asarray(logg, float)
        high, low = np.where(too_deep, log_pe, high), np.where(too_deep, low, log_pe)
    neutral, electrons = _ionisation(temperature, log_pe, feh)
    hydrogen = 10**log_pe / (BOLTZMANN * temperature * electrons)
    opacity = continuous_opacity(reference, temperature, log_pe, neutral)
    return Layer(temperature, log_pe, hydrogen, neutral, opacity)


def _ionisation(temperature: np.ndarray, log_pe: np.ndarray, feh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neutral fraction of hydrogen, and free electrons per H atom."""
    ratio = saha(temperature, log_pe, 13.598, 1.0)
    ionised = ratio / (1 + ratio)
    electrons = ionised.copy()
    for name in _DONORS:
        element = ELEMENTS[name]
        ratio = saha(temperature, log_pe, element.ionisation[0], 2 * element.partition[1] / element.partition[0])
        electrons += 10 ** (element.solar - 12 + feh) * ratio / (1 + ratio)
    return 1 - ionised, np.maximum(electrons, 1e-12)


def fractions(layers: Layer, species: str) -> np.ndarray:
    """Share of an element's atoms that are of ``species`` ("Fe I", "Fe II"), shape (n,)."""
    name, stage = species.split()
    element = ELEMENTS[name]
    first = saha(
        layers.temperature, layers.log_pe, element.ionisation[0], 2 * element.partition[1] / element.partition[0]
    )
    second = saha(layers.temperature, layers.log_pe, element.ionisation[1], 1.0)
    total = 1 + first + first * second
    share: np.ndarray = (1.0 if stage == "I" else first) / total
    return share


def curve_of_growth(center: np.ndarray, damping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equivalent widths in Doppler widths: of the Doppler core, and of the damping wings.

    center: line-to-continuum opacity ratio in the line's centre; damping: Voigt's a.  The core runs from linear to
    the square root of the logarithm, the wings as the square root of center times damping.
    """
    core = 2 * np.sqrt(0.5 * np.log1p(0.5 * np.pi * center**2))
    wings = np.pi * np.sqrt(center * damping / np.sqrt(np.pi))
    return core, wings
