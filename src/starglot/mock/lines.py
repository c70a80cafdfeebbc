"""Atomic lines of the mock: species, air wavelength, excitation energy and log gf of the strongest optical lines.

Atomic data are rounded values as found in the usual compilations (NIST, VALD); a mock needs no more.
Wavelengths are given in air, as every stellar line table does, and turned into vacuum on loading.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from starglot.mock.line_data import LINES
from starglot.spectra.air import air_to_vacuum


@dataclass(frozen=True)
class Element:
    """Solar log epsilon, ionisation energies I->II and II->III in eV, partition functions of I and II."""

    solar: float
    ionisation: tuple[float, float]
    partition: tuple[float, float]
    mass: float


#: Solar abundances of Grevesse, Asplund & Sauval (2007), log epsilon with H = 12.
ELEMENTS: dict[str, Element] = {
    "C": Element(8.39, (11.26, 24.38), (9.3, 6.0), 12.0),
    "N": Element(7.78, (14.53, 29.60), (4.1, 9.0), 14.0),
    "O": Element(8.66, (13.62, 35.12), (9.0, 4.0), 16.0),
    "Na": Element(6.17, (5.14, 47.29), (2.0, 1.0), 23.0),
    "Mg": Element(7.53, (7.65, 15.04), (1.0, 2.0), 24.3),
    "Al": Element(6.37, (5.99, 18.83), (5.9, 1.0), 27.0),
    "Si": Element(7.51, (8.15, 16.35), (9.5, 5.8), 28.1),
    "P": Element(5.36, (10.49, 19.77), (4.5, 8.0), 31.0),
    "S": Element(7.14, (10.36, 23.34), (8.0, 4.1), 32.1),
    "K": Element(5.08, (4.34, 31.63), (2.2, 1.0), 39.1),
    "Ca": Element(6.31, (6.11, 11.87), (1.2, 2.2), 40.1),
    "Sc": Element(3.17, (6.56, 12.80), (12.0, 23.0), 45.0),
    "Ti": Element(4.90, (6.83, 13.58), (30.0, 56.0), 47.9),
    "V": Element(4.00, (6.75, 14.66), (48.0, 43.0), 50.9),
    "Cr": Element(5.64, (6.77, 16.49), (10.5, 7.0), 52.0),
    "Mn": Element(5.39, (7.43, 15.64), (6.5, 7.6), 54.9),
    "Fe": Element(7.45, (7.90, 16.20), (27.0, 43.0), 55.8),
    "Co": Element(4.92, (7.88, 17.08), (33.0, 28.0), 58.9),
    "Ni": Element(6.23, (7.64, 18.17), (31.0, 10.5), 58.7),
    "Cu": Element(4.21, (7.73, 20.29), (2.3, 1.0), 63.5),
    "Zn": Element(4.60, (9.39, 17.96), (1.0, 2.0), 65.4),
    "Sr": Element(2.92, (5.69, 11.03), (1.3, 2.2), 87.6),
    "Y": Element(2.21, (6.22, 12.22), (13.0, 16.0), 88.9),
    "Ba": Element(2.17, (5.21, 10.00), (2.5, 4.2), 137.3),
    "Ce": Element(1.70, (5.54, 10.85), (160.0, 150.0), 140.1),
}

#: The label whose abundance a species' lines answer to; other elements follow iron.
LABEL_OF_SPECIES: dict[str, str] = {
    "C I": "ci_fe",
    "N I": "n_fe",
    "O I": "o_fe",
    "Na I": "na_fe",
    "Mg I": "mg_fe",
    "Mg II": "mg_fe",
    "Al I": "al_fe",
    "Si I": "si_fe",
    "Si II": "si_fe",
    "P I": "p_fe",
    "P II": "p_fe",
    "S I": "s_fe",
    "K I": "k_fe",
    "Ca I": "ca_fe",
    "Ca II": "ca_fe",
    "Ti I": "ti_fe",
    "Ti II": "tiii_fe",
    "V I": "v_fe",
    "Cr I": "cr_fe",
    "Cr II": "cr_fe",
    "Mn I": "mn_fe",
    "Co I": "co_fe",
    "Ni I": "ni_fe",
    "Cu I": "cu_fe",
    "Ce II": "ce_fe",
}


@dataclass(frozen=True)
class LineList:
    """Lines in arrays of one length, sorted by vacuum wavelength (A).

    species: "Fe I"; chi: energy of the lower level (eV); log_gf: log10 of g times the oscillator strength.
    """

    species: np.ndarray
    wavelength: np.ndarray
    chi: np.ndarray
    log_gf: np.ndarray


@cache
def line_list() -> LineList:
    """Every line of the mock."""
    rows = [(species, *line) for species, lines in LINES.items() for line in lines]
    species, air, chi, log_gf = (np.array(column) for column in zip(*rows, strict=True))
    vacuum = air_to_vacuum(air)
    order = np.argsort(vacuum, kind="stable")
    return LineList(species[order], vacuum[order], chi[order], log_gf[order])
