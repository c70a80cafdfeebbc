"""SDSS and BOSS spectra: ``spec-PLATE-MJD-FIBER.fits``, full or lite.

The first extension, the table COADD, has a pixel a row: flux (1e-17 erg/s/cm2/A), loglam (log10 of the vacuum
wavelength in A, heliocentric, steps of 1e-4), ivar, and_mask and or_mask (bit sums: set in every exposure, or in
any), wdisp, sky, model; the case of the names varies.  Pixels without data have ivar 0.  COEFF0 of the primary header
is not looked at: in legacy files it is that of the plate, whose first pixels a spectrum may lack.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from starglot.formats.fits_bytes import Unit
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected

COLUMNS = ("flux", "loglam", "ivar", "and_mask", "or_mask")


def read_sdss_spectrum(path: str | PathLike[str]) -> RawSpectrum:
    """Read an SDSS or BOSS spectrum; the mask is ``and_mask``: what is bad in one exposure of several is not lost.

    In real files or_mask is set in 2 to 34 % of the pixels, most of them with a good coadded flux, and_mask in 0.3 to
    6 %, nearly all under strong sky lines.

    Raises SpectrumRejected: ``file_missing``, ``file_unreadable`` (cannot be opened, cut off, not FITS),
    ``layout_unknown`` (no such table, columns missing, air wavelengths), ``no_good_pixel`` (an empty fibre, with
    ivar 0 throughout, or errors that are no numbers).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of headers; what is read is checked below
            with fits.open(path, memmap=False) as units:
                if len(units) < 2 or not isinstance(units[1], fits.BinTableHDU):
                    raise SpectrumRejected("layout_unknown", "no COADD table")
                if units[0].header.get("VACUUM", True) in (False, "F"):
                    raise SpectrumRejected("layout_unknown", "VACUUM is F: air wavelengths are not expected")
                table = units[1].data
                names = {name.lower() for name in table.names}
                missing = [name for name in COLUMNS if name not in names]
                if missing:
                    raise SpectrumRejected("layout_unknown", f"the first table has no column {', '.join(missing)}")
                values = {name: np.array(table[name], np.float64) for name in COLUMNS}
                mask = np.array(table["and_mask"], np.int64)
    except FileNotFoundError:
        raise SpectrumRejected("file_missing", "no such file") from None
    except SpectrumRejected:
        raise
    except Exception as error:  # a damaged header makes astropy raise nearly anything
        detail = " ".join(str(error).split()) or type(error).__name__
        raise SpectrumRejected("file_unreadable", detail) from error
    ivar = values["ivar"]
    if len(ivar) and not (ivar > 0).any():
        lost = int(np.count_nonzero(~np.isfinite(ivar)))
        said = f"ivar is not a number in {lost}" if lost else "an empty fibre: ivar is 0 in all"
        raise SpectrumRejected("no_good_pixel", f"{said} of {len(ivar)} pixels")
    return RawSpectrum(
        wavelength=10.0 ** values["loglam"],
        flux=values["flux"],
        ivar=values["ivar"],
        mask=mask,
    )


def is_sdss(found: Sequence[Unit]) -> bool:
    """Whether these are the header and data units of such a file."""
    table = next((unit for unit in found[1:] if unit.text("EXTNAME").upper() == "COADD"), None)
    if table is None:
        return False
    return set(COLUMNS) <= {table.text(f"TTYPE{n}").lower() for n in range(1, table.count("TFIELDS", 0) + 1)}
