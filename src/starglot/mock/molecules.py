"""Molecular bands of cool stars as fixed shapes with empirical strengths: CH, CN, C2, MgH, TiO, CaH, CaOH, VO.

Band heads are at their laboratory wavelengths; how strength runs with Teff, log g and the abundances of the two
atoms follows what real spectra do and what the dissociation energies say, not an equilibrium calculation.
"""

from __future__ import annotations

import numpy as np

from starglot.labels import ABUNDANCE_NAMES
from starglot.mock.atmosphere import Layer
from starglot.spectra.air import air_to_vacuum

#: (air wavelength of the head, depth, e-folding length in A) by system.  Negative lengths degrade to the blue.
_HEADS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "CN": ((3883.4, 1.0, -35), (3871.4, 0.5, -25), (4216.0, 0.45, -26), (4197.2, 0.25, -22), (4181.0, 0.2, -18),
           (7876.0, 0.05, 60), (8068.0, 0.05, 60)),
    "C2": ((4737.1, 0.35, -30), (5165.2, 0.6, -28), (5635.5, 0.3, -30)),
    "MgH": ((4780.0, 0.4, -45), (5211.1, 1.0, -90), (5186.0, 0.35, -60), (5621.0, 0.2, -40)),
    "TiO blue": ((4584.0, 0.35, 45), (4761.0, 0.6, 60), (4804.3, 0.25, 60), (4954.6, 0.9, 70), (5003.0, 0.3, 60),
                 (5166.6, 1.1, 75), (5240.5, 0.35, 60), (5448.3, 0.75, 75), (5497.0, 0.3, 50), (5591.0, 0.25, 50),
                 (5661.6, 0.45, 50), (5759.5, 0.45, 50), (5810.0, 0.4, 45)),
    "TiO red": ((5847.6, 0.65, 80), (5954.4, 0.4, 60), (6158.5, 1.0, 75), (6214.0, 0.45, 60), (6321.0, 0.2, 50),
                (6512.4, 0.25, 50), (6569.0, 0.15, 40), (6651.3, 0.75, 75), (6680.9, 0.35, 60), (6714.4, 0.4, 70),
                (6782.0, 0.3, 60), (7053.9, 0.95, 70), (7087.9, 0.75, 80), (7125.6, 0.6, 110), (7589.3, 0.32, 60),
                (7628.1, 0.2, 60), (7666.4, 0.2, 100), (8205.8, 0.08, 60), (8250.6, 0.08, 60), (8302.9, 0.08, 60),
                (8432.5, 0.12, 60), (8442.6, 0.06, 60), (8451.7, 0.06, 90), (8859.6, 0.10, 70)),
    "VO": ((7334.0, 0.5, 90), (7393.0, 0.4, 90), (7851.0, 0.5, 60), (7896.0, 0.6, 80), (8521.0, 0.4, 80),
           (8605.0, 0.4, 80)),
}  # fmt: skip
#: (air centre, depth, sigma in A): bands without a sharp head at this resolution.
_HUMPS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "CH": ((4304.5, 1.05, 6.5), (4294.0, 0.75, 7.0), (4324.0, 0.25, 3.5), (4280.0, 0.3, 6.0), (4362.0, 0.12, 8.0),
           (3886.0, 0.3, 8.0)),
    "CaH": ((6358.0, 0.35, 12.0), (6384.0, 1.0, 6.0), (6830.0, 0.65, 30.0), (6775.0, 0.6, 18.0), (6905.0, 0.9, 28.0),
            (6960.0, 0.7, 20.0)),
    "TiO blue": ((4650.0, 1.0, 550.0), (5350.0, 0.5, 500.0)),
    "CaOH": ((5538.0, 0.9, 9.0), (5560.0, 0.35, 9.0), (6230.0, 0.6, 22.0)),
}  # fmt: skip
BANDS = ("CH", "CN", "C2", "MgH", "TiO blue", "TiO red", "VO", "CaH", "CaOH", "haze")


def bands(wavelength: np.ndarray) -> np.ndarray:
    """(10, pixels) float32 shapes of the band systems in the order of BANDS, at vacuum wavelengths in A."""
    out = np.zeros((len(BANDS), wavelength.size))
    soft = wavelength / 1800 / 2.3548
    for row, name in enumerate(BANDS):
        for air, depth, length in _HEADS.get(name, ()):
            beyond = (wavelength - air_to_vacuum(np.array(air))) * np.sign(length)
            edge = 1 / (1 + np.exp(-np.clip(beyond / (0.6 * soft), -50, 50)))
            out[row] += depth * edge * np.exp(-np.maximum(beyond, 0) / abs(length))
        for air, depth, sigma in _HUMPS.get(name, ()):
            out[row] += depth * np.exp(-0.5 * ((wavelength - air_to_vacuum(np.array(air))) / sigma) ** 2)
    # What thousands of lines too faint for any list take from the blue of cool stars, without structure.
    out[BANDS.index("haze")] = np.minimum(np.exp(-(wavelength - 4000) / 330), 1.5)
    return out.astype(np.float32)


def strengths(teff: np.ndarray, logg: np.ndarray, feh: np.ndarray, xfe: np.ndarray, layers: Layer) -> np.ndarray:
    """(n, 10) float32 strengths of BANDS for n stars."""

    def per_hydrogen(label: str) -> np.ndarray:
        abundance: np.ndarray = feh + xfe[:, ABUNDANCE_NAMES.index(label)]
        return abundance

    carbon, nitrogen, oxygen = per_hydrogen("c_fe"), per_hydrogen("n_fe"), per_hydrogen("o_fe")
    titanium, magnesium, calcium = per_hydrogen("ti_fe"), per_hydrogen("mg_fe"), per_hydrogen("ca_fe")
    vanadium = per_hydrogen("v_fe")

    def bell(center: float, width: float) -> np.ndarray:
        height: np.ndarray = np.exp(-(((teff - center) / width) ** 2))
        return height

    # Giants show the TiO of dwarfs that are a little hotter.
    cool = np.log1p(np.exp((3850 - teff - 130 * np.clip((3.5 - logg) / 2.5, 0, 1)) / 155))
    # CO takes up carbon first: what is left for other carbon molecules falls as oxygen rises in cool stars.
    free_carbon = carbon - 0.5 * np.clip((4900 - teff) / 1000, 0, 1) * (oxygen - carbon)
    out = {
        "CH": 1.15 * bell(4950, 850) * 10 ** (0.55 * free_carbon + 0.04 * (logg - 4)),
        "CN": 0.9 * bell(4650, 750) * 10 ** (0.45 * free_carbon + 0.45 * nitrogen - 0.16 * (logg - 3.0)),
        "C2": 0.10 * bell(4800, 700) * 10 ** (0.9 * free_carbon),
        "MgH": 0.60 * bell(4250, 620) * 10 ** (0.34 * (logg - 4.5) + 0.45 * magnesium),
        "TiO blue": 0.34 * cool * 10 ** (0.40 * titanium + 0.25 * oxygen - 0.03 * (logg - 4.5)),
        "TiO red": 0.36 * cool * 10 ** (0.40 * titanium + 0.25 * oxygen - 0.05 * (logg - 4.5)),
        "VO": 0.25 * np.log1p(np.exp((3350 - teff) / 120)) * 10 ** (0.4 * vanadium),
        "CaH": 0.42 / (1 + np.exp((teff - 3850) / 160)) * 10 ** (0.28 * (logg - 4.8) + 0.3 * calcium),
        "haze": 0.72 * np.log1p(np.exp((5000 - teff) / 300)) * 300 / 1000 * 10 ** (0.45 * feh),
        "CaOH": 0.35 * np.log1p(np.exp((3500 - teff) / 150)) * 10 ** (0.2 * (logg - 4.8) + 0.3 * calcium),
    }
    return np.stack([out[name] for name in BANDS], 1).astype(np.float32)
