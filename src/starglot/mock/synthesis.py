"""Noise-free spectra of mock stars: many at a time, on LAMOST's logarithmic vacuum grid, at R ~ 1800.

The optical depth of a spectrum is a sum of fixed templates (instrument-broadened line cores, damping wings, hydrogen
lines, molecular bands) with star-dependent strengths, so that a block of stars is a matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import sparse

from starglot.labels import ABUNDANCE_NAMES
from starglot.mock import molecules
from starglot.mock.atmosphere import (
    Layer,
    continuous_opacity,
    curve_of_growth,
    fractions,
    layer,
)
from starglot.mock.lines import ELEMENTS, LABEL_OF_SPECIES, LineList, line_list
from starglot.spectra.air import air_to_vacuum

LIGHT = 299792.458  # km/s
LOG_START = float(np.float32(3.5682))
LOG_STEP = 1e-4
N_PIXELS = 3909
RESOLUTION = 1800.0
#: Pixels of margin on both sides of the rest-frame grid, for the shift by radial velocity (69 km/s a pixel).
MARGIN = 10
#: Strong lines whose damping wings are resolved at R ~ 1800: (air wavelength, log10 of the van der Waals width
#: per perturber at 10^4 K).
_WINGED: dict[float, float] = {
    3933.66: -7.55, 3968.47: -7.55, 4226.73: -7.5, 8498.02: -7.9, 8542.09: -7.9, 8662.14: -7.9,
    5167.32: -7.25, 5172.68: -7.25, 5183.60: -7.25, 3829.36: -7.25, 3832.30: -7.25, 3838.29: -7.25,
    8806.76: -7.0, 5528.40: -7.0, 5889.95: -7.4, 5895.92: -7.4, 8183.26: -7.15, 8194.82: -7.15,
    7664.90: -7.35, 7698.96: -7.35, 3944.01: -7.3, 3961.52: -7.3, 4045.81: -7.6, 4063.59: -7.6, 4071.74: -7.6,
    4383.54: -7.6, 4404.75: -7.6, 4271.76: -7.6, 4325.76: -7.6, 4307.90: -7.6, 3820.43: -7.65, 3859.91: -7.7,
    3734.86: -7.65, 3719.93: -7.7, 3737.13: -7.7, 3745.56: -7.7, 3815.84: -7.6, 3886.28: -7.7, 3838.30: -7.3,
    4254.35: -7.6, 4274.80: -7.6, 4289.72: -7.6, 4030.75: -7.6, 4033.06: -7.6, 4034.48: -7.6, 5269.54: -7.6,
    5328.04: -7.6, 4905.00: -7.6, 5204.51: -7.6, 5206.04: -7.6, 5208.42: -7.6, 3905.52: -7.3,
}  # fmt: skip
_DEFAULT_WIDTH = -7.55
#: Depth of a fully saturated line in units of the continuum; the layer above still shines.
_FLOOR = 0.90
#: Optical depth beyond which absorption saturates (the darkest cores keep about exp(-2.6) of the light).
_SATURATION = 2.6
#: The same for hydrogen, whose cores keep about a quarter of the light.
_HYDROGEN_SATURATION = 1.9


@cache
def grid() -> np.ndarray:
    """LAMOST's wavelengths in vacuum A: float32 of 10^(3.5682 + 1e-4 i), shape (3909,)."""
    return (10 ** (LOG_START + LOG_STEP * np.arange(N_PIXELS))).astype(np.float32)


@dataclass(frozen=True)
class Sampling:
    """How finely spectra are made: resolution (wavelength over FWHM), and pixels for each of LAMOST's."""

    resolution: float = RESOLUTION
    finer: int = 1


LAMOST = Sampling()


@cache
def rest_grid(sampling: Sampling = LAMOST) -> np.ndarray:
    """Wavelengths (A, vacuum) of spectra at rest, with MARGIN of LAMOST's pixels on both sides of :func:`grid`."""
    pixels = np.arange(-MARGIN * sampling.finer, (N_PIXELS + MARGIN) * sampling.finer)
    return 10 ** (LOG_START + LOG_STEP / sampling.finer * pixels)


@dataclass(frozen=True)
class _Templates:
    """Fixed shapes of optical depth on the rest grid: templates x pixels, and what they belong to."""

    lines: LineList
    cores: sparse.csr_array  # (pixels, lines): area 1 A each
    winged: np.ndarray  # indices into lines
    broadening: np.ndarray  # (lines,) log10 van der Waals width
    rounding: np.ndarray  # (winged,) half-width in A to which the instrument rounds wings off
    wings: np.ndarray  # (winged, pixels)
    forest: np.ndarray  # (kinds, pixels)
    hydrogen_core: np.ndarray
    hydrogen_wings: np.ndarray
    bands: np.ndarray


#: Faint lines that no list of strong lines has, as random unresolved groups: (species, chi in eV, log gf, number,
#: scale in A over which they thin out to the red).
_FOREST = (
    ("Fe I", 0.5, -3.4, 600, 520.0),
    ("Fe I", 1.5, -2.6, 950, 560.0),
    ("Fe I", 2.6, -1.9, 1050, 620.0),
    ("Fe I", 3.6, -1.2, 700, 800.0),
    ("Fe I", 4.4, -0.9, 420, 1500.0),
    ("Fe II", 2.8, -3.2, 120, 600.0),
    ("Fe II", 3.9, -2.8, 80, 900.0),
)


@cache
def _templates(sampling: Sampling) -> _Templates:
    lines, wave, resolution = line_list(), rest_grid(sampling), sampling.resolution
    sigma = lines.wavelength / resolution / 2.3548
    rows, columns, values = [], [], []
    for index, (center, width) in enumerate(zip(lines.wavelength, sigma, strict=True)):
        first, last = np.searchsorted(wave, [center - 5 * width, center + 5 * width])
        near = wave[first:last]
        values.append(np.exp(-0.5 * ((near - center) / width) ** 2) / (width * np.sqrt(2 * np.pi)))
        rows.append(np.arange(first, last))
        columns.append(np.full(last - first, index))
    cores = sparse.csr_array(
        (np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))),
        shape=(wave.size, lines.wavelength.size),
    )
    air = np.array(sorted(_WINGED))
    marked = air_to_vacuum(air)
    nearest = np.abs(lines.wavelength[:, None] - marked).argmin(1)
    is_winged = np.abs(lines.wavelength - marked[nearest]) < 0.006
    broadening = np.where(is_winged, np.array([_WINGED[a] for a in air])[nearest], _DEFAULT_WIDTH)
    winged = np.flatnonzero(is_winged)
    rounding = 1.6 * sigma[winged]
    wings = 1 / ((wave - lines.wavelength[winged, None]) ** 2 + rounding[:, None] ** 2)
    wings = wings.astype(np.float32)
    forest, bands = _forest(wave, resolution), molecules.bands(wave)
    hydrogen = _hydrogen(wave, resolution)
    return _Templates(lines, cores, winged, broadening, rounding, wings, forest, *hydrogen, bands)


def _forest(wave: np.ndarray, resolution: float) -> np.ndarray:
    """Random faint lines, ever denser to the blue, as one template a kind: areas add up to one line's each."""
    rng = np.random.Generator(np.random.Philox(key=4861))
    kinds = []
    for _, _, _, number, scale in _FOREST:
        center = 3640 - scale * np.log1p(-rng.random(number) * (1 - np.exp(-5600 / scale)))
        strength = np.exp(0.6 * rng.standard_normal(number) - 0.18)
        width = center / resolution / 2.3548
        shape = np.exp(-0.5 * ((wave - center[:, None]) / width[:, None]) ** 2)
        kinds.append(((strength / width / np.sqrt(2 * np.pi))[:, None] * shape).sum(0))
    return np.array(kinds, np.float32)


def _hydrogen(wave: np.ndarray, resolution: float) -> tuple[np.ndarray, np.ndarray]:
    """Balmer and Paschen series: instrument-wide cores, and Stark wings that fall as the 2.5th power of distance."""
    cores, wings = np.zeros((2, wave.size)), np.zeros((2, wave.size))
    for series, lower in enumerate((2, 3)):
        for upper in range(lower + 1, 26):
            center = 911.763 / (lower**-2.0 - upper**-2.0)
            if not 3600 < center < 9300:
                continue
            sigma = np.hypot(center / resolution / 2.3548, 1.0)
            # Oscillator strengths fall with the upper level, the Stark effect grows: both fall slowly.
            order = upper - lower
            depth = (1.35, 1.0, 0.9)[order - 1] if order <= 3 else 0.9 * (4 / order) ** 0.6
            strength = (0.9, 1.0, 0.85)[order - 1] if order <= 3 else 0.85 * (4 / order) ** 0.9
            if lower == 3:
                depth, strength = 1.1 * depth, 0.6 * strength
            cores[series] += depth * np.exp(-0.5 * ((wave - center) / sigma) ** 2)
            wings[series] += strength * ((wave - center) ** 2 + (2.4 + 0.03 * upper**2) ** 2) ** -1.25
    return cores.astype(np.float32), wings.astype(np.float32)


@dataclass(frozen=True)
class Stellar:
    """What the synthesis needs of n stars: Teff (K), log g, [Fe/H], and [X/Fe] by ABUNDANCE_NAMES, (n, 21)."""

    teff: np.ndarray
    logg: np.ndarray
    feh: np.ndarray
    xfe: np.ndarray


def rest_spectra(stars: Stellar, sampling: Sampling = LAMOST, layers: Layer | None = None) -> np.ndarray:
    """(n, pixels of :func:`rest_grid`) float32 flux per A at rest, mean 1.

    layers: those of stars of this Teff, log g and [Fe/H], where they are known already: most of the work.
    """
    if layers is None:
        layers = layer(stars.teff, stars.logg, stars.feh)
    depth = optical_depth(stars, layers, sampling)
    depth = depth / (1 + depth / _SATURATION)
    return (continuum(stars.teff, layers, sampling) * np.exp(-depth)).astype(np.float32)


def optical_depth(stars: Stellar, layers: Layer, sampling: Sampling = LAMOST) -> np.ndarray:
    """(n, pixels) optical depth of lines and bands before saturation."""
    t = _templates(sampling)
    widths, wings, groups = _line_strengths(stars, layers, t)
    depth: np.ndarray = (t.cores @ widths.T).T
    depth = depth + wings @ t.wings + groups @ t.forest
    core, wing = _hydrogen_strengths(stars, layers)
    hydrogen = core @ t.hydrogen_core + wing @ t.hydrogen_wings
    depth += hydrogen / (1 + hydrogen / _HYDROGEN_SATURATION)
    depth += molecules.strengths(stars.teff, stars.logg, stars.feh, stars.xfe, layers) @ t.bands
    return depth


def _line_strengths(stars: Stellar, layers: Layer, t: _Templates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equivalent widths (n, lines) in A, wing constants (n, winged) in A2, and widths (n, forest kinds) in A."""
    lines = t.lines
    forest_species = np.array([kind[0] for kind in _FOREST])
    species = np.concatenate([lines.species, forest_species])
    # Faint lines of a kind are spread evenly in wavelength as far as their strength goes.
    wavelength = np.concatenate([lines.wavelength, np.full(len(_FOREST), 4800.0)])
    chi = np.concatenate([lines.chi, [kind[1] for kind in _FOREST]])
    log_gf = np.concatenate([lines.log_gf, [kind[2] for kind in _FOREST]])
    broadening = np.concatenate([t.broadening, np.full(len(_FOREST), _DEFAULT_WIDTH)])
    n = stars.teff.size
    atoms = np.empty((n, species.size))
    doppler = np.empty((n, species.size))
    turbulence = np.where(stars.logg < 3.5, 1.9, 1.3) + np.clip((stars.teff - 5500) / 2500, 0, 1.2)
    for name in np.unique(species):
        element = ELEMENTS[name.split()[0]]
        label = LABEL_OF_SPECIES.get(name)
        abundance = element.solar - 12 + stars.feh
        if label is not None:
            abundance = abundance + stars.xfe[:, ABUNDANCE_NAMES.index(label)]
        stage = 0 if name.endswith(" I") else 1
        at = species == name
        atoms[:, at] = (abundance + np.log10(fractions(layers, name) / element.partition[stage]))[:, None]
        thermal = 1.663e-4 * layers.temperature / element.mass  # 2kT/m in (km/s)^2
        doppler[:, at] = np.sqrt(thermal + turbulence**2)[:, None]
    shift = doppler / LIGHT * wavelength  # Doppler width, A
    opacity = layers.opacity[:, None] * _opacity_shape(layers, wavelength)
    absorbers = 10 ** (atoms + log_gf - layers.theta[:, None] * chi)
    # sqrt(pi) e^2 / (m c) = 0.014974 cm2 Hz; Doppler widths in cm/s, wavelengths in cm.
    center = 0.014974 * absorbers * wavelength * 1e-8 / (doppler * 1e5) / opacity
    perturbers = (layers.hydrogen * layers.neutral_hydrogen * (layers.temperature / 1e4) ** 0.3)[:, None]
    collisions = 10**broadening * perturbers + 1e-6 * layers.electrons[:, None]
    damping = (collisions + 1.5e8) * wavelength * 1e-8 / (4 * np.pi * doppler * 1e5)
    core, wing = curve_of_growth(center, damping)
    widths = _FLOOR * shift * np.hypot(core, wing)
    constants = (shift**2 * center * damping / np.sqrt(np.pi))[:, t.winged]
    # The core template carries what the rounded wings leave of the whole equivalent width.
    inside = np.pi * constants / np.sqrt(t.rounding**2 + np.pi / 4 * constants)
    least = (_FLOOR * shift * core)[:, t.winged]
    widths[:, t.winged] = np.maximum(widths[:, t.winged] - 0.9 * inside, least)
    n_lines = lines.wavelength.size
    widths, constants = widths.astype(np.float32), constants.astype(np.float32)
    return widths[:, :n_lines], constants, widths[:, n_lines:]


@cache
def _coarse() -> np.ndarray:
    return np.concatenate([np.arange(3650.0, 3800, 12), np.arange(3800.0, 9200, 180)])


def _interpolate(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Linear interpolation of (n, coarse) onto the wavelengths ``at``, as one product with a fixed matrix."""
    interpolated: np.ndarray = values @ _hat_matrix(np.ascontiguousarray(at, float).tobytes())
    return interpolated


@cache
def _hat_matrix(raw: bytes) -> np.ndarray:
    at = np.frombuffer(raw)
    return np.stack([np.interp(at, _coarse(), row) for row in np.eye(_coarse().size)])


def _opacity_shape(layers: Layer, wavelength: np.ndarray) -> np.ndarray:
    """(n, len(wavelength)) continuous opacity over that at 5000 A."""
    shape = continuous_opacity(
        _coarse(), layers.temperature[:, None], layers.log_pe[:, None], layers.neutral_hydrogen[:, None]
    )
    return _interpolate(shape / layers.opacity[:, None], wavelength)


def continuum(teff: np.ndarray, layers: Layer, sampling: Sampling = LAMOST) -> np.ndarray:
    """(n, pixels) continuum on the rest grid, mean 1."""
    flux = _interpolate(continuum_at(teff, layers, _coarse()), rest_grid(sampling))
    scaled: np.ndarray = flux / flux.mean(1, keepdims=True)
    return scaled


def continuum_at(teff: np.ndarray, layers: Layer, coarse: np.ndarray) -> np.ndarray:
    """(n, len(coarse)) Eddington-Barbier continuum, the Planck function where the optical depth is 2/3.

    coarse: wavelengths (A) that reach over 4500 to 8500 A, where the mean opacity is taken.
    """
    ratio = continuous_opacity(
        coarse, layers.temperature[:, None], layers.log_pe[:, None], layers.neutral_hydrogen[:, None]
    )
    mean = ratio[:, (coarse > 4500) & (coarse < 8500)].mean(1, keepdims=True)
    tau = np.clip(2 / 3 * mean / ratio, 0.05, 6.0)
    local = teff[:, None] * (0.75 * (tau + 2 / 3)) ** 0.25
    x = coarse * 1e-8
    planck: np.ndarray = x**-5 / np.expm1(1.438777 / (x * local))
    return planck


def _hydrogen_strengths(stars: Stellar, layers: Layer) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) core depths and wing constants (A^2.5) of the Balmer and Paschen series.

    Excited hydrogen sits in hot layers: its Boltzmann factor is taken at 1.12 times the line-forming temperature.
    """
    theta = layers.theta / 1.12
    electrons = layers.electrons * 10 ** (0.35 * (np.clip(stars.teff, 4000, 9900) - 9000) / 4000)
    cores, wings = [], []
    for energy, weight, depth in ((10.199, 4.0, 1.6), (12.088, 9.0, 1.0)):
        absorbers = weight * 10 ** (-theta * energy) * layers.neutral_hydrogen / layers.opacity
        # Partly saturated: the exponent is set by the width of H beta from A0 to G2.
        wings.append(15 * (2.2e-13 * (absorbers / 1e18) ** 0.9 * electrons) ** 0.6)
        cores.append(depth * np.log1p(absorbers / 3e15) / np.log(4e4))
    # The cores of cool stars form in the chromosphere and never vanish before the M stars.
    cores[0] += 0.25 / (1 + np.exp((3900 - stars.teff) / 150))
    return np.stack(cores, 1).astype(np.float32), np.stack(wings, 1).astype(np.float32)


def shifted(rest: np.ndarray, velocity: np.ndarray, sampling: Sampling = LAMOST) -> np.ndarray:
    """(n, 3909 x finer) spectra moved by radial velocities (n,) in km/s; cubic interpolation in log wavelength."""
    size, margin = N_PIXELS * sampling.finer, MARGIN * sampling.finer
    pixels = np.log10(1 + velocity / LIGHT) / (LOG_STEP / sampling.finer)
    whole = np.floor(pixels)
    f = (1 - (pixels - whole))[:, None].astype(np.float32)
    start = margin - whole.astype(int) - 1
    if start.min() < 1 or start.max() > 2 * margin - 2:
        raise ValueError(f"a radial velocity is beyond {LIGHT * LOG_STEP * 2.3026 * (MARGIN - 2):.0f} km/s")
    index = start[:, None] + np.arange(-1, size + 2)
    window = np.take_along_axis(rest, index, axis=1)
    a, b, c, d = (window[:, k : k + size] for k in range(4))
    moved: np.ndarray = (
        -f * (f - 1) * (f - 2) / 6 * a
        + (f + 1) * (f - 1) * (f - 2) / 2 * b
        - (f + 1) * f * (f - 2) / 2 * c
        + (f + 1) * f * (f - 1) / 6 * d
    )
    return moved
