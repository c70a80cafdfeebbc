"""The stars of MILES as another instrument sees them: broader lines, other noise, wavelengths and flux calibration.

Laid out as DESI's Milky Way Survey: coadds of arms B and R in steps of 0.8 A, and its catalogue with MILES's labels.
Spectra and labels are real; how the instrument differs is chosen, and what it adds to a spectrum is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from starglot.errors import StarglotError
from starglot.mock.desi_files import PROGRAM, SURVEY, arm_pixels, write_catalog, write_coadd
from starglot.mock.synthesis import LIGHT
from starglot.spectra.degrade import SIGMA_OF_FWHM
from starglot.spectra.raw import RawSpectrum

#: Paths of the catalogue and of the spectra within the release.
CATALOG, SPECTRA = "mwsall-pix-miles.fits", "healpix"
#: Made-up Gaia ids are this and a star's number in MILES; so are the targets' ids.
FIRST_GAIA_ID, _FIRST_TARGET = 900_000_000_000_000_000, 39_627_700_000_000_000
#: Width of the library's lines (A, FWHM; Falcon-Barroso et al. 2011, A&A 532, A95).
LIBRARY_FWHM = 2.5
#: The arms that the library reaches, and the stars of a file.
_ARMS, _STARS = ("B", "R"), 100
_FIRST_PIXEL = 20_000
#: Scatter of radial velocities (km/s), as in the layout of LAMOST.
_VELOCITY = 45.0
#: Sigma of a spectrum's own calibration, in units of the instrument's slope.
_OWN = 0.5


@dataclass(frozen=True)
class Instrument:
    """What is other about the second instrument.

    fwhm: of its lines (A), the library's or more; snr: between which the median S/N of a pixel of arm B is drawn, in
    equal parts of its logarithm; shift: by how much its wavelengths are too long (A); slope: of its flux calibration,
    the natural logarithm of what an arm's red end has over its blue end; from spectrum to spectrum, slope and bend of
    it scatter by half as much.
    """

    fwhm: float = 4.0
    snr: tuple[float, float] = (20.0, 80.0)
    shift: float = 0.3
    slope: float = 0.2


@dataclass(frozen=True)
class View:
    """A star as the instrument sees it: number in MILES, place (deg), labels (Teff, log g, [Fe/H]; NaN where
    missing), velocity (km/s), median S/N of arm B; flux, ivar and mask (pixels,) by arm."""

    number: int
    place: tuple[float, float]
    labels: tuple[float, float, float]
    velocity: float
    snr: float
    arms: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def require_instrument(instrument: Instrument) -> None:
    """Raise StarglotError for lines narrower than the library's, and for S/N that cannot be drawn."""
    if not instrument.fwhm >= LIBRARY_FWHM:
        raise StarglotError(
            f"lines of {instrument.fwhm:g} A (FWHM), narrower than the library's",
            where="--fwhm",
            allowed=f"{LIBRARY_FWHM:g} A or more",
            todo="give broader lines",
        )
    low, high = instrument.snr
    if not 0 < low <= high:
        raise StarglotError(
            f"S/N between {low:g} and {high:g}", where="--desi-snr", allowed="0 < low <= high", todo="give other ones"
        )


def view(
    number: int,
    place: tuple[float, float],
    labels: tuple[float, float, float],
    raw: RawSpectrum,
    instrument: Instrument,
    seed: int,
) -> View:
    """One star as the instrument sees it; the same number, instrument and seed give the same.

    raw: the library's spectrum, at rest, vacuum; ivar is not positive where it has no data.
    """
    rng = np.random.default_rng([seed, number, 10_000])
    velocity, level = float(rng.normal(0, _VELOCITY)), 10 ** rng.uniform(0.5, 2.0)
    wanted = float(np.exp(rng.uniform(*np.log(instrument.snr))))
    there = raw.ivar > 0
    flux = np.interp(raw.wavelength, raw.wavelength[there], raw.flux[there])
    step = float(np.median(np.diff(raw.wavelength)))
    sigma = SIGMA_OF_FWHM * np.sqrt(instrument.fwhm**2 - LIBRARY_FWHM**2) / step
    flux = gaussian_filter1d(flux, sigma, mode="nearest") if sigma > 0 else flux
    wave = raw.wavelength * (1 + velocity / LIGHT) + instrument.shift
    arms = {}
    for arm in _ARMS:
        own = arm_pixels(arm)
        good = (np.interp(own, wave, (~there).astype(float), left=1, right=1) == 0) & (own >= wave[there][0])
        x = (own - own.mean()) / np.ptp(own)
        slope, bend = instrument.slope * (np.array([1.0, 0.0]) + _OWN * rng.standard_normal(2))
        seen = np.interp(own, wave, flux) * np.exp(slope * x + bend * (x**2 - 1 / 12))
        if arm == "B":
            scale = level / np.median(seen[good])
        seen = seen * scale
        # As of photons: S/N grows with the square root of the flux, to that which was drawn at the median.
        noise = np.sqrt(np.maximum(seen, 0.02 * level) * level) / wanted
        seen = np.where(good, seen + noise * rng.standard_normal(len(own)), 0.0)
        ivar = np.where(good, noise**-2, 0.0)
        arms[arm] = (seen.astype(np.float32), ivar.astype(np.float32), np.zeros(len(own), np.int32))
    blue, ivar, _ = arms["B"]
    ratio = float(np.median((blue * np.sqrt(ivar))[ivar > 0]))
    return View(number, place, labels, velocity, ratio, arms)


def write_views(views: Sequence[View], out: Path) -> None:
    """The release of the second instrument: coadds below ``out``/healpix, and the catalogue.

    Both pipelines have MILES's labels, and no [alpha/Fe].
    """
    number = np.array([each.number for each in views])
    ra, dec = np.array([each.place for each in views]).T
    target, pixel = _FIRST_TARGET + number, _FIRST_PIXEL + np.arange(len(views)) // _STARS
    for name in np.unique(pixel):
        at = np.flatnonzero(pixel == name).tolist()
        arms = {}
        for arm in _ARMS:
            flux, ivar, mask = (np.stack([views[k].arms[arm][part] for k in at]) for part in range(3))
            arms[arm] = (flux, ivar, mask)
        write_coadd(out / SPECTRA, int(name), target[at], ra[at], dec[at], arms, np.zeros(len(at), bool))
    n = len(views)
    teff, logg, feh = np.array([each.labels for each in views]).T
    labels = {"TEFF": teff, "LOGG": logg, "FEH": feh, "ALPHAFE": np.full(n, np.nan)}
    snr = np.array([each.snr for each in views], np.float32)
    success = np.isfinite([teff, logg, feh]).any(axis=0)
    rvtab = {
        "VRAD": np.array([each.velocity for each in views]),
        "VRAD_ERR": np.zeros(n),
        **labels,
        "RVS_WARN": np.zeros(n, np.int64),
        "TARGET_RA": ra,
        "TARGET_DEC": dec,
        "TARGETID": target,
        "SUCCESS": success,
        "HEALPIX": pixel.astype(np.int64),
        "RR_SPECTYPE": np.full(n, "STAR"),
        "SURVEY": np.full(n, SURVEY),
        "PROGRAM": np.full(n, PROGRAM),
        "PRIMARY": np.ones(n, bool),
    }
    grid = {"SUCCESS": success.astype(np.int64), "TARGETID": target, "BESTGRID": np.full(n, "miles")}
    tables = {
        "RVTAB": rvtab,
        "SPTAB": {**grid, **labels},
        "FIBERMAP": {"TARGETID": target},
        "SCORES": {"TARGETID": target, **{f"MEDIAN_COADD_SNR_{arm}": snr for arm in "BRZ"}},
        "GAIA": {"SOURCE_ID": FIRST_GAIA_ID + number},
    }
    write_catalog(out / CATALOG, tables)
