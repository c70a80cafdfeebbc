"""Spectra in the file format of SDSS and BOSS, as far as a reader of spectra looks (docs/mock.md says in what).

The primary header and the table COADD follow real files, column by column; the tables on redshifts and lines, and
those of single exposures, are left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from starglot.tables import atomic_path

#: Flux of a mock star in the unit of the files, 1e-17 erg/s/cm2/A, where the normalised flux is 1.
UNIT_FLUX = 40.0
#: Sky lines under which real files have the bit BRIGHTSKY in and_mask (vacuum A).
SKY_LINES = ((5577.0, 5581.0), (6300.0, 6304.0), (7276.0, 7279.0), (7716.0, 7720.0), (7914.0, 7918.0))
BRIGHTSKY = 1 << 23

_COLUMNS = (*((name, "E") for name in ("flux", "loglam", "ivar")), ("and_mask", "J"), ("or_mask", "J"))
_FURTHER = (("wdisp", "E"), ("sky", "E"), ("model", "E"))


def sdss_name(plate: int, mjd: int, fiber: int) -> str:
    """``spec-PPPP-MMMMM-FFFF.fits``."""
    return f"spec-{plate:04d}-{mjd:05d}-{fiber:04d}.fits"


def write_sdss_spectrum(
    wavelength: np.ndarray, flux: np.ndarray, snr: float, plate: int, mjd: int, fiber: int, folder: Path
) -> Path:
    """Write one file; returns its path.

    wavelength: (n,) vacuum A in steps of 1e-4 of its logarithm; flux: (n,) normalised, about 1; snr: per pixel,
    tells ivar.  Pixels under bright sky lines are flagged, as in real files.
    """
    n, known = len(flux), np.maximum(flux, 0.05)
    sky = np.zeros(n, np.int32)
    for low, high in SKY_LINES:
        sky[(wavelength >= low) & (wavelength <= high)] = BRIGHTSKY
    values = {
        "flux": UNIT_FLUX * flux,
        "loglam": np.log10(wavelength),
        "ivar": snr**2 / (UNIT_FLUX**2 * known * np.median(known)),
        "and_mask": sky,
        "or_mask": sky,
        "wdisp": np.full(n, 1.1),  # in pixels: a resolution of about 1800
        "sky": np.where(sky > 0, 10 * UNIT_FLUX, UNIT_FLUX / 4),
        "model": UNIT_FLUX * flux,
    }
    columns = [fits.Column(name, form, array=values[name]) for name, form in (*_COLUMNS, *_FURTHER)]
    primary = fits.PrimaryHDU()
    header = {
        "TELESCOP": "SDSS 2.5-M",
        "PLATEID": plate,
        "MJD": mjd,
        "FIBERID": fiber,
        "COEFF0": float(np.log10(wavelength[0])),
        "COEFF1": 1e-4,
        "VACUUM": True,
        "BUNIT": "1E-17 erg/cm^2/s/Ang",
    }
    primary.header.update(header)
    path = folder / sdss_name(plate, mjd, fiber)
    with atomic_path(path, durable=False) as partial:  # one of thousands
        fits.HDUList([primary, fits.BinTableHDU.from_columns(columns, name="COADD")]).writeto(partial)
    return path
