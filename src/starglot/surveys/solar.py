"""Solar photospheric abundances, log eps(X) with log eps(H) = 12, for surveys that give A(X).

grevesse2007: Grevesse, Asplund & Sauval 2007 (Space Science Reviews 130, 105), the scale of Gaia-ESO and of the
MARCS models; asplund2009: Asplund et al. 2009 (ARA&A 47, 481), table 1, photosphere.
"""

from __future__ import annotations

from typing import Literal

from starglot.labels import ABUNDANCE_NAMES

Scale = Literal["grevesse2007", "asplund2009"]

SOLAR: dict[Scale, dict[str, float]] = {
    "grevesse2007": {
        **{"C": 8.39, "N": 7.78, "O": 8.66, "Na": 6.17, "Mg": 7.53, "Al": 6.37, "Si": 7.51, "P": 5.36, "S": 7.14},
        **{"K": 5.08, "Ca": 6.31, "Ti": 4.90, "V": 4.00, "Cr": 5.64, "Mn": 5.39, "Fe": 7.45, "Co": 4.92, "Ni": 6.23},
        **{"Cu": 4.21, "Ce": 1.70},
    },
    "asplund2009": {
        **{"C": 8.43, "N": 7.83, "O": 8.69, "Na": 6.24, "Mg": 7.60, "Al": 6.45, "Si": 7.51, "P": 5.41, "S": 7.12},
        **{"K": 5.03, "Ca": 6.34, "Ti": 4.95, "V": 3.93, "Cr": 5.64, "Mn": 5.43, "Fe": 7.50, "Co": 4.99, "Ni": 6.22},
        **{"Cu": 4.19, "Ce": 1.58},
    },
}

#: Labels whose name holds an ionisation stage beside the element.
_ION = {"ci_fe": "C", "tiii_fe": "Ti"}

#: Element of each of the 21 abundance labels.
ELEMENT: dict[str, str] = {name: _ION.get(name, name.removesuffix("_fe").capitalize()) for name in ABUNDANCE_NAMES}


def solar_abundance(label: str, scale: Scale) -> float:
    """log eps of the Sun for the element of an abundance label ('mg_fe' -> 7.53 on grevesse2007)."""
    return SOLAR[scale][ELEMENT[label]]
