"""Rest-frame spectra of mock galaxies: stars old and young, gas, dust; realistic in kind, not a model of any galaxy.

Stars are four populations of fixed age, each a few black bodies with the absorption of its age: the 4000 A break and
metal lines of old stars, Balmer lines and the Balmer break of young ones.  Any galaxy is a mixture of its own, with
its own metallicity, velocity dispersion, dust and gas, so no two are alike.  Wavelengths are vacuum A.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtri

from starglot.mock.population import uniforms

#: The rest-frame grid: SDSS's pixels, from what z = 0.65 shifts to the blue end up to the red end at z = 0.
LOG_STEP = 1e-4
LOG_FIRST, PIXELS = 3.3600, 6300
_LIGHT = 299792.458
#: A pixel in velocity (km/s), and the spectrograph's resolution (1 sigma; R about 1900).
PIXEL_VELOCITY = _LIGHT * np.log(10) * LOG_STEP
INSTRUMENT = 69.0

#: Age by name: black bodies (K: share of the light at 5500 A), Balmer depth, metal depth, 4000 A and Balmer breaks.
POPULATIONS: dict[str, tuple[dict[float, float], float, float, float, float]] = {
    "10 Gyr": ({4400.0: 0.62, 3500.0: 0.14, 5600.0: 0.24}, 0.05, 1.00, 0.80, 0.00),
    "2 Gyr": ({5200.0: 0.60, 6600.0: 0.30, 3800.0: 0.10}, 0.25, 0.65, 0.45, 0.10),
    "0.4 Gyr": ({8600.0: 0.75, 5000.0: 0.25}, 1.00, 0.25, 0.15, 0.50),
    "10 Myr": ({24000.0: 0.85, 4200.0: 0.15}, 0.25, 0.08, 0.02, 0.15),
}
#: Metal absorption: wavelength, width (A, 1 sigma), depth at full strength.
METALS = (
    (2600.0, 22.0, 0.45), (2799.0, 9.0, 0.55), (2852.9, 7.0, 0.45), (3100.0, 30.0, 0.20), (3360.0, 25.0, 0.15),
    (3581.0, 12.0, 0.25), (3735.0, 12.0, 0.25), (3835.0, 14.0, 0.30), (3883.0, 14.0, 0.28), (3934.8, 7.5, 0.55),
    (3969.6, 7.5, 0.52), (4046.0, 4.0, 0.10), (4227.9, 4.0, 0.18), (4305.6, 11.0, 0.26), (4384.0, 6.0, 0.14),
    (4457.0, 7.0, 0.08), (4532.0, 9.0, 0.10), (4669.0, 9.0, 0.08), (5016.0, 12.0, 0.12), (5177.0, 11.0, 0.24),
    (5270.5, 7.0, 0.14), (5336.0, 6.0, 0.11), (5406.0, 6.0, 0.07), (5709.0, 6.0, 0.05), (5783.0, 6.0, 0.04),
    (5893.6, 5.0, 0.18), (5960.0, 18.0, 0.05), (6191.0, 16.0, 0.07), (6498.0, 7.0, 0.06), (7090.0, 30.0, 0.09),
    (7680.0, 30.0, 0.07), (8190.0, 8.0, 0.05), (8500.4, 5.0, 0.16), (8544.4, 6.0, 0.30), (8664.5, 6.0, 0.26),
    (8807.0, 5.0, 0.07),
)  # fmt: skip
#: Balmer lines from H alpha on: vacuum wavelengths, and Case B strengths relative to H beta (Osterbrock 2006).
BALMER = (6564.61, 4862.68, 4341.68, 4102.89, 3971.20, 3890.15, 3836.47, 3798.98, 3771.70, 3751.22)
_CASE_B = (2.86, 1.0, 0.468, 0.259, 0.159, 0.105, 0.073, 0.053, 0.040, 0.031)
#: Forbidden doublets of fixed ratio: the stronger line, the weaker one, weaker / stronger.
_NII, _OIII = (6585.27, 6549.85, 0.34), (5008.24, 4960.30, 0.335)
#: Nodes of weak lines that nobody lists, one for every few pixels: old stars have no smooth continuum.
_FOREST_SEED, _FOREST_DEPTH = 20, 0.035


@dataclass(frozen=True)
class Galaxies:
    """n mock galaxies, arrays (n,) unless said otherwise.

    number: k of the endless list; z: redshift; light: (n, 4) shares of the populations at 5500 A; metals: strength of
    metal lines; dispersion: of the stars (km/s); ebv: dust (mag); h_alpha: equivalent width of H alpha before dust
    (A, emission); nii, oiii, oii, sii, oi, neiii: log10 of [N II]/H alpha, [O III]/H beta, [O II]/H beta, [S II]/H
    alpha, [O I]/H alpha, [Ne III]/[O II]; oii_ratio, sii_ratio: within the doublets; gas: its dispersion (km/s);
    snr: per pixel, median; tilt: (n, 3) errors of the flux calibration; sky: size of what sky lines leave;
    visits: 1 or 2.
    """

    number: np.ndarray
    z: np.ndarray
    light: np.ndarray
    metals: np.ndarray
    dispersion: np.ndarray
    ebv: np.ndarray
    h_alpha: np.ndarray
    nii: np.ndarray
    oiii: np.ndarray
    oii: np.ndarray
    sii: np.ndarray
    oi: np.ndarray
    neiii: np.ndarray
    oii_ratio: np.ndarray
    sii_ratio: np.ndarray
    gas: np.ndarray
    snr: np.ndarray
    tilt: np.ndarray
    sky: np.ndarray
    visits: np.ndarray

    def take(self, at: np.ndarray) -> Galaxies:
        """The galaxies at these places."""
        return Galaxies(**{field.name: getattr(self, field.name)[at] for field in fields(self)})


def draw_galaxies(first: int, last: int, seed: int, snr: tuple[float, float], z: tuple[float, float]) -> Galaxies:
    """Galaxies first..last-1 of the endless list of ``seed``.

    snr: range of the S/N per pixel, even in its logarithm; z: range of the redshifts.
    Three families share the list: quiescent, star-forming, and in between (some of these with an active nucleus).
    """
    number = np.arange(first, last)
    u = uniforms(seed, 40, number, 32)
    g = ndtri(u)
    quiet, active = u[:, 0] < 0.35, u[:, 0] > 0.88
    # More galaxies in the middle of the range than at its ends, as in any survey limited by brightness.
    redshift = z[0] + (z[1] - z[0]) * (u[:, 1] + 0.3 * np.sin(2 * np.pi * u[:, 1]) / (2 * np.pi))
    young = np.where(quiet, 0.04 * u[:, 2], np.where(active, 0.05 + 0.3 * u[:, 2], 0.15 + 0.75 * u[:, 2]))
    burst = young * u[:, 3] ** 0.7
    middle = (1 - young) * np.where(quiet, 0.35 * u[:, 4], 0.8 * u[:, 4])
    light = np.stack([1 - young - middle, middle, young - burst, burst], axis=1)
    mass = 0.6 * g[:, 5] + np.where(quiet, 0.7, -0.2)  # stands for mass: metals, dispersion and gas follow it
    # Star formation decides the strength of emission, with a wide scatter; some have none that could be seen.
    h_alpha = 10 ** np.where(quiet, -0.9 + 0.5 * g[:, 6], 0.75 + 1.25 * young + 0.25 * g[:, 6])
    h_alpha = np.where(active, 10 ** (0.9 + 0.35 * g[:, 6]), np.minimum(h_alpha, 400.0))
    nii = np.where(active | quiet, -0.02 + 0.17 * g[:, 7], np.clip(-0.62 + 0.28 * mass + 0.12 * g[:, 7], -1.7, -0.15))
    # The star-forming sequence of Kauffmann et al. (2003), and the branch of active nuclei beside it.
    sequence = 0.61 / (np.minimum(nii, -0.15) - 0.25) + 1.02 + 0.12 * g[:, 8]
    oiii = np.where(active, 0.65 + 0.28 * g[:, 8], np.where(quiet, 0.3 + 0.2 * g[:, 8], np.clip(sequence, -1.0, 0.9)))
    return Galaxies(
        number=number,
        z=redshift,
        light=light,
        metals=np.clip(0.95 + 0.18 * mass + 0.08 * g[:, 9], 0.3, 1.6),
        dispersion=np.clip(10 ** (2.05 + 0.22 * mass + 0.08 * g[:, 10]), 50, 380),
        ebv=np.where(quiet, 0.06, 0.24) * -np.log(u[:, 11]),
        h_alpha=h_alpha,
        nii=nii,
        oiii=oiii,
        oii=0.42 - 0.18 * mass + 0.16 * g[:, 12],
        sii=-0.42 - 0.08 * mass + 0.1 * g[:, 13],
        oi=np.where(active, -0.9, -1.6) + 0.15 * g[:, 14],
        neiii=-1.0 + 0.5 * (oiii - 0.2) + 0.15 * g[:, 15],
        oii_ratio=0.75 + 0.6 * u[:, 16],
        sii_ratio=0.9 + 0.5 * u[:, 17],
        gas=np.clip(10 ** (1.98 + 0.14 * mass + 0.13 * g[:, 18] + np.where(active, 0.25, 0.0)), 40, 450),
        snr=np.exp(np.log(snr[0]) + np.log(snr[1] / snr[0]) * u[:, 19]),
        tilt=np.stack([0.05 * g[:, 20], 0.03 * g[:, 21], 0.02 * g[:, 22]], axis=1),
        sky=0.5 + 2.0 * u[:, 23],
        visits=np.where(u[:, 24] < 0.1, 2, 1),
    )


def rest_grid() -> np.ndarray:
    """(PIXELS,) vacuum A."""
    return np.asarray(10 ** (LOG_FIRST + LOG_STEP * np.arange(PIXELS)))


def populations() -> np.ndarray:
    """(4, 2, PIXELS) flux of the populations, 1 at 5500 A: without metal lines, and with those of full strength."""
    wave = rest_grid()
    rng = np.random.default_rng(_FOREST_SEED)
    forest = gaussian_filter1d(rng.exponential(1.0, PIXELS), 2.5)
    forest *= _FOREST_DEPTH * (1 + 2.0 * np.exp(-(wave - 2300) / 1200))
    lines = sum(depth * np.exp(-0.5 * ((wave - centre) / (1.15 * width)) ** 2) for centre, width, depth in METALS)
    out = []
    for bodies, balmer, metal, jump, balmer_jump in POPULATIONS.values():
        flux = sum(share * _planck(wave, kelvin) for kelvin, share in bodies.items())
        blue = 1 / (1 + np.exp((wave - 4000) / 18))  # of the 4000 A break: blanketing by metals
        very_blue = 1 / (1 + np.exp((wave - 2950) / 60))
        flux = flux * np.exp(-balmer_jump / (1 + np.exp((wave - 3690) / 25)))
        for order, centre in enumerate(BALMER):
            # Wings of A stars: a narrow core in a wide trough.
            depth = balmer * (0.42, 0.48, 0.50, 0.50, 0.50, 0.48, 0.44, 0.38, 0.32, 0.26)[order]
            flux = flux * (1 - depth / (1 + ((wave - centre) / (7.5 if order else 5.0)) ** 2))
        blanketed = flux * np.exp(-jump * blue - 0.7 * metal * very_blue)
        out.append([flux, blanketed * np.exp(-metal * (lines + forest))])
    return np.array(out)


def _planck(wave: np.ndarray, kelvin: float) -> np.ndarray:
    """A black body's flux per A, 1 at 5500 A."""
    at = 1.43877e8 / kelvin

    def body(w: np.ndarray | float) -> np.ndarray:
        return np.asarray(np.power(w, -5.0) / np.expm1(at / np.asarray(w)))

    return np.asarray(body(wave) / body(5500.0))


def attenuation(wave: np.ndarray) -> np.ndarray:
    """k(lambda) of starburst galaxies (Calzetti et al. 2000, eq. 4): A = k E(B-V)."""
    x = 1e4 / np.asarray(wave)
    blue = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 * x) + 4.05
    return np.where(np.asarray(wave) < 6300, blue, red)


def rest_spectra(galaxies: Galaxies, bases: np.ndarray) -> np.ndarray:
    """(n, PIXELS) flux per rest-frame A of n galaxies, 1 at 5500 A before dust; bases: of :func:`populations`."""
    wave = rest_grid()
    dust = 10 ** (-0.4 * attenuation(wave)[None] * galaxies.ebv[:, None])
    # Metal lines of strength m: the plain population times the m-th power of what full strength takes away.
    strength = galaxies.metals[:, None, None]
    stars = np.einsum("nk,nkp->np", galaxies.light, bases[None, :, 0] * (bases[:, 1] / bases[:, 0])[None] ** strength)
    out = np.empty_like(stars)
    for at, row in enumerate(stars):
        sigma = np.hypot(galaxies.dispersion[at], INSTRUMENT) / PIXEL_VELOCITY
        out[at] = gaussian_filter1d(row, sigma, mode="nearest", truncate=3.5)
    level = np.array([np.interp(BALMER[0], wave, row) for row in out])
    return np.asarray((out + emission(galaxies, level)) * dust)


def emission_lines(galaxies: Galaxies, level: np.ndarray) -> dict[float, np.ndarray]:
    """Flux (n,) of each emission line by its wavelength, before dust; level: (n,) of the continuum at H alpha."""
    alpha = galaxies.h_alpha * level
    beta = alpha / _CASE_B[0]
    nii, oiii = alpha * 10**galaxies.nii, beta * 10**galaxies.oiii
    oii, sii = beta * 10**galaxies.oii, alpha * 10**galaxies.sii
    lines = {centre: beta * strength for centre, strength in zip(BALMER, _CASE_B, strict=True)}
    blue_part, sulphur_part = (
        galaxies.oii_ratio / (1 + galaxies.oii_ratio),
        galaxies.sii_ratio / (1 + galaxies.sii_ratio),
    )
    return {
        **lines,
        _NII[0]: nii,
        _NII[1]: nii * _NII[2],
        _OIII[0]: oiii,
        _OIII[1]: oiii * _OIII[2],
        4364.44: 0.01 * oiii,
        3729.88: oii * blue_part,
        3727.09: oii * (1 - blue_part),
        3869.86: oii * 10**galaxies.neiii,
        3968.59: 0.31 * oii * 10**galaxies.neiii,
        6718.29: sii * sulphur_part,
        6732.67: sii * (1 - sulphur_part),
        6302.05: alpha * 10**galaxies.oi,
        6365.54: alpha * 10**galaxies.oi / 3,
        5877.25: 0.11 * beta,
        6679.99: 0.03 * beta,
        7137.76: 0.035 * alpha * 10**galaxies.oiii,
        9071.09: 0.08 * alpha,
    }


def emission(galaxies: Galaxies, level: np.ndarray) -> np.ndarray:
    """(n, PIXELS) flux per A of the gas, as broad as it and the spectrograph make it."""
    wave = rest_grid()
    out = np.zeros((len(galaxies.z), PIXELS))
    spread = np.hypot(galaxies.gas, INSTRUMENT) / _LIGHT
    for centre, flux in emission_lines(galaxies, level).items():
        first = int(np.searchsorted(wave, centre * (1 - 0.012)))
        last = int(np.searchsorted(wave, centre * (1 + 0.012)))
        sigma = (spread * centre)[:, None]
        shape = np.exp(-0.5 * ((wave[None, first:last] - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        out[:, first:last] += flux[:, None] * shape
    return out
