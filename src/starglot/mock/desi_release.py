"""The mock's stars as DESI sees them: coadds by healpix, and the Milky Way Survey's catalogue.

The same stars as LAMOST's, with another resolution and sampling, noise, flux calibration, zero point of wavelengths
and labels.  The mock's engine begins at 3700 A and ends at 9080: pixels beyond have no data.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import sparse
from scipy.special import ndtri
from tqdm import tqdm

from starglot.config.mock_views import MockDesi
from starglot.config.root import Mock
from starglot.labels import ABUNDANCE_NAMES
from starglot.mock.desi_files import ARMS, PROGRAM, SURVEY, arm_pixels, write_catalog, write_coadd
from starglot.mock.population import Population, generator, uniforms
from starglot.mock.survey import BLOCK, extinction, moved, plan_visits, plates, sky_position, stellar
from starglot.mock.synthesis import MARGIN, Sampling, rest_grid, rest_spectra, shifted
from starglot.tables import write_parquet

#: Paths below the folder of the release.
CATALOG, SPECTRA, TRUTH = "mwsall-pix-mock.fits", "healpix", "truth.parquet"
#: Sigma (A) of the line-spread function; R 2290 at 3800 A, 3525 at 5600 A.
_SIGMA = 0.68
#: The engine's own resolution and pixels, finer than DESI's.
_ENGINE = Sampling(resolution=5000.0, finer=4)
#: DESI's wavelengths are this much too long (A), its pipeline's zero point.
_SHIFT = 0.03
#: Zero points of FERRE and RVSpecFit against the truth: Teff (K), log g, [Fe/H], [alpha/Fe].
_OFFSETS = {"sp": (-25.0, 0.06, -0.08, 0.03), "rv": (40.0, -0.05, -0.04, -0.05)}
_EPOCH = 16.0
#: Uniform numbers that each star owns.
_DRAWS = 25
#: One star in so many that the pipeline warns of, or that has no light.
_WARNED, _EMPTY = 40, 60


def write_desi(out: Path, mock: Mock, settings: MockDesi) -> dict[str, int]:
    """Write DESI's view of a mock release under ``out``; returns its counts.  The same settings give the same bytes.

    Whether a star is observed, and how it looks, does not depend on the number of stars.  Healpix numbers are the
    mock's own.
    """
    out = Path(out)
    visits, every = plan_visits(mock.spectra, mock.plates, mock.seed)
    ra, dec = sky_position(every, mock.plates, plates(mock.plates))
    seen = np.unique(visits.star)
    seen = seen[uniforms(mock.seed, 61, seen, 1)[:, 0] < settings.fraction]
    stars = every.take(seen)
    ra, dec = moved(ra[seen], dec[seen], stars, _EPOCH)
    draws = uniforms(mock.seed, 62, stars.star, _DRAWS)
    pixel = 10_000 + np.arange(len(seen)) // settings.targets
    target = 39_627_000_000_000_000 + stars.star
    empty = stars.star % _EMPTY == 7
    snr = settings.snr[0] * (settings.snr[1] / settings.snr[0]) ** draws[:, 0]
    bar = tqdm(total=len(seen), desc="mock DESI spectra", unit="spectrum", mininterval=2)
    for number in np.unique(pixel):
        at = np.flatnonzero(pixel == number)
        # Made together with as many others in every file: products of matrices differ in their last digits by the
        # number of rows.
        filled = np.resize(at, settings.targets)
        made = observed(stars.take(filled), snr[filled], draws[filled], mock.seed)
        arms = {arm: (flux[: len(at)], ivar[: len(at)], mask[: len(at)]) for arm, (flux, ivar, mask) in made.items()}
        write_coadd(out / SPECTRA, int(number), target[at], ra[at], dec[at], arms, empty[at])
        bar.update(len(at))
    bar.close()
    _write_catalog(out / CATALOG, stars, target, pixel, (ra, dec), np.where(empty, 0.0, snr), draws)
    truth = {
        "obsid": pa.array(target),
        "star": pa.array(stars.star),
        **{name: pa.array(getattr(stars, name)) for name in ("teff", "logg", "feh")},
        **{name: pa.array(stars.xfe[:, i]) for i, name in enumerate(ABUNDANCE_NAMES)},
        "rv": pa.array(stars.rv),
    }
    write_parquet(pa.table(truth), out / TRUTH, {"seed": mock.seed})
    return {"stars": len(seen), "files": len(np.unique(pixel)), "empty": int(empty.sum())}


def observed(
    stars: Population, snr: np.ndarray, draws: np.ndarray, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Flux (1e-17 erg/s/cm2/A), ivar (n, pixels) float32 and mask int32 of n stars, by arm.

    snr: (n,) median in arm B; draws: (n, 25) uniforms of each star.
    """
    n = len(stars.star)
    rest = np.concatenate(
        [rest_spectra(stellar(stars.take(np.arange(a, min(a + BLOCK, n)))), _ENGINE) for a in range(0, n, BLOCK)]
    )
    normal = ndtri(draws)
    flux = shifted(rest, stars.rv + 1.5 * normal[:, 1], _ENGINE)
    wave = _engine_grid()
    flux = flux * 10 ** (-0.4 * stars.ebv[:, None] * extinction(wave))
    level = 10 ** (-0.4 * (stars.magnitude - 17.0)) * 30.0
    flux = flux / np.median(flux[:, (wave > 4000) & (wave < 5500)], axis=1, keepdims=True)
    arms = {}
    for place, arm in enumerate(ARMS):
        own = arm_pixels(arm)
        size = len(own)
        through = _pixels(arm)
        there = np.asarray((flux @ through.T), np.float64)
        x = (own - own.mean()) / np.ptp(own)
        # Each arm is calibrated by itself, with standard stars of the same field.
        tilt, bend, step = (normal[:, 3 + 3 * place + k : 4 + 3 * place + k] for k in range(3))
        there *= np.exp(0.02 * tilt * x + 0.02 * bend * (x**2 - 1 / 12) + 0.01 * step)
        efficiency = np.interp(own, [3600, 4000, 4500, 5500, 6500, 8000, 9800], [0.2, 0.45, 0.7, 0.9, 1, 1, 0.6])
        sigma = np.sqrt(np.maximum(there, 0.02) / efficiency + 0.05 / efficiency)
        if arm == "B":
            scale = np.median(there[:, own > 3750] / sigma[:, own > 3750], axis=1, keepdims=True) / snr[:, None]
        sigma *= scale
        noise = np.array([generator(seed, 63, int(star), place).standard_normal(size) for star in stars.star])
        missing = np.asarray(through.sum(axis=1)).ravel() < 0.999
        ivar = np.where(missing, 0.0, (sigma * level[:, None]) ** -2.0)
        mask = np.zeros((n, size), np.int32)
        for row, star in enumerate(stars.star):
            hits = generator(seed, 64, int(star), place).integers(0, size - 3, 6)
            for hit in hits[: int(6 * draws[row, 14 + place])]:  # cosmic rays: bit 2 of desispec's ccdmask
                mask[row, hit : hit + 2] = 4
                there[row, hit : hit + 2] *= 1.5
        values = np.where(missing, 0.0, (there + sigma * noise) * level[:, None])
        arms[arm] = (values.astype(np.float32), ivar.astype(np.float32), mask)
    return arms


def _engine_grid() -> np.ndarray:
    """Wavelengths (A) of spectra that were moved by their velocity."""
    margin = MARGIN * _ENGINE.finer
    return rest_grid(_ENGINE)[margin:-margin]


@cache
def _pixels(arm: str) -> sparse.csr_array:
    """(pixels of the arm, pixels of the engine): the line-spread function and the sampling in one product.

    A pixel is a Gaussian mean of the engine's; a pixel beyond its grid has weights that do not add up to 1.
    """
    wave = _engine_grid()
    width = np.gradient(wave)
    own = arm_pixels(arm) - _SHIFT
    sigma = np.sqrt(np.maximum(_SIGMA**2 - (own / _ENGINE.resolution / 2.3548) ** 2, 0.25**2))
    rows, columns, values = [], [], []
    for row, (at, spread) in enumerate(zip(own, sigma, strict=True)):
        first, last = np.searchsorted(wave, [at - 5 * spread, at + 5 * spread])
        weights = np.exp(-0.5 * ((wave[first:last] - at) / spread) ** 2) * width[first:last]
        inside = wave[0] <= at - 5 * spread and at + 5 * spread <= wave[-1]
        if inside and weights.sum() > 0:
            rows.append(np.full(last - first, row))
            columns.append(np.arange(first, last))
            values.append(weights / weights.sum())
    parts = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array(parts, shape=(own.size, wave.size))


def _write_catalog(
    path: Path,
    stars: Population,
    target: np.ndarray,
    pixel: np.ndarray,
    position: tuple[np.ndarray, np.ndarray],
    snr: np.ndarray,
    draws: np.ndarray,
) -> None:
    """mwsall: both pipelines' labels with their own errors and zero points, S/N, and Gaia's ids."""
    n, normal = len(target), ndtri(draws)
    alpha = stars.xfe[:, [ABUNDANCE_NAMES.index(name) for name in ("mg_fe", "si_fe", "ca_fe", "ti_fe")]].mean(1)
    truth = np.stack([stars.teff, stars.logg, stars.feh, alpha], 1)
    worse = np.sqrt(1 + (30 / np.maximum(snr, 3.0)) ** 2)[:, None]
    names = ("TEFF", "LOGG", "FEH", "ALPHAFE")
    measured, errors = {}, {}
    for place, (pipeline, size) in enumerate((("sp", (60.0, 0.15, 0.10, 0.06)), ("rv", (80.0, 0.20, 0.12, 0.08)))):
        errors[pipeline] = np.array(size) * worse
        shift = np.array(_OFFSETS[pipeline]) + errors[pipeline] * normal[:, 17 + 4 * place : 21 + 4 * place]
        measured[pipeline] = truth + shift
    covariance = np.zeros((n, 25))
    covariance[:, [18, 24, 0, 6]] = errors["sp"] ** 2
    rv = {name: measured["rv"][:, i] for i, name in enumerate(names)}
    rvtab = {
        "VRAD": stars.rv + 1.5 * normal[:, 1],
        "VRAD_ERR": np.full(n, 1.5),
        **rv,
        **{f"{name}_ERR": errors["rv"][:, i] for i, name in enumerate(names)},
        "RVS_WARN": np.where(stars.star % _WARNED == 11, 1, 0).astype(np.int64),
        "TARGET_RA": position[0],
        "TARGET_DEC": position[1],
        "TARGETID": target,
        **{f"SN_{arm}": (snr * factor).astype(np.float32) for arm, factor in (("B", 1), ("R", 1.4), ("Z", 1.5))},
        "SUCCESS": np.ones(n, bool),
        "HEALPIX": pixel.astype(np.int64),
        "RR_SPECTYPE": np.full(n, "STAR"),
        "SURVEY": np.full(n, SURVEY),
        "PROGRAM": np.full(n, PROGRAM),
        "PRIMARY": np.ones(n, bool),
    }
    sptab = {
        "SUCCESS": np.where(snr > 0, 1, 0).astype(np.int64),
        "TARGETID": target,
        "BESTGRID": np.full(n, "s_rdesi1"),
        **{name: measured["sp"][:, i] for i, name in enumerate(names)},
        "COVAR": covariance,
    }
    scores = {"TARGETID": target} | {
        f"MEDIAN_COADD_SNR_{arm}": (snr * factor).astype(np.float32)
        for arm, factor in (("B", 1), ("R", 1.4), ("Z", 1.5))
    }
    gaia = {"SOURCE_ID": np.where(stars.gaia_dr3 > 0, stars.gaia_dr3, 999_999)}
    tables = {"RVTAB": rvtab, "SPTAB": sptab, "FIBERMAP": {"TARGETID": target}, "SCORES": scores, "GAIA": gaia}
    write_catalog(path, tables)
