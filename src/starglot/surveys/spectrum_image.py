"""A spectrum as a FITS image of one axis, as libraries of stars have it (MILES, ELODIE) and IRAF writes it.

The header says the wavelength of a pixel: CRVAL1 at pixel CRPIX1, CDELT1 (or CD1_1) from one to the next, in CUNIT1;
of the logarithm to the base of 10 where DC-FLAG is 1, or where CRVAL1 is too small for a wavelength in Angstrom.
CTYPE1 may say whether it is of vacuum (WAVE) or of air (AWAV): FITS standard 4.0, section 8.4.  There is no error.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.plain_spectrum import LOG10, PlainSpectrum, from_columns, said_air

#: CTYPE1 (its first four letters) -> whether wavelengths are those in air.
_TYPES = {"AWAV": True, "WAVE": False}
#: CTYPE1 of axes that are no wavelength.
_OTHERS = ("FREQ", "ENER", "WAVN", "VRAD", "VOPT", "ZOPT", "BETA", "VELO", "RA--", "DEC-")
#: CUNIT1 (in lower case) of Angstrom, as headers write it.
_ANGSTROM = ("", "a", "angstrom", "angstroms", "0.1 nm")
_NO_DATA = "pixels at the ends whose flux is exactly 0 have no data"


def read_image(path: Path, air: bool = False) -> PlainSpectrum | None:
    """The spectrum in a FITS file's primary image; None where that has not one axis alone.

    air: whether wavelengths are those in air where the header does not say.
    Raises SpectrumRejected: ``file_unreadable``, ``layout_unknown`` (the header does not say the wavelengths).
    """
    from astropy import units
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what astropy says of headers; what is read is checked below
        try:
            with fits.open(path, memmap=False, ignore_missing_simple=True) as opened:
                header, data = opened[0].header.copy(), opened[0].data
        except Exception as error:  # a damaged header makes astropy raise nearly anything
            detail = " ".join(str(error).split())[:200] or type(error).__name__
            raise SpectrumRejected("file_unreadable", detail) from error
        if data is None or np.ndim(data) < 1 or max(data.shape) != data.size:
            return None
        flux = np.array(data, float).ravel()
        kind = str(header.get("CTYPE1", "")).strip().upper()[:4]
        if kind in _OTHERS:
            raise SpectrumRejected("layout_unknown", f"the axis of the image is {header['CTYPE1']}, not a wavelength")
        try:
            step = header["CDELT1"] if "CDELT1" in header else header["CD1_1"]
            first, place = float(header["CRVAL1"]), float(header.get("CRPIX1", 1.0))
            axis = first + float(step) * (np.arange(1, len(flux) + 1) - place)
            named = str(header.get("CUNIT1", "")).strip()
            unit = units.AA if named.lower() in _ANGSTROM else units.Unit(named)
            logarithm = str(header.get("DC-FLAG", "0")).strip() == "1" or (unit == units.AA and first < LOG10)
        except (KeyError, ValueError, TypeError) as error:
            raise SpectrumRejected(
                "layout_unknown", f"an image of one axis whose wavelengths are not stated: {error}"
            ) from error
    flux, assumed = _without_ends(flux)
    given = axis if logarithm or "CUNIT1" not in header else axis * unit
    stated = said_air(header)
    found = from_columns(
        given, flux, logarithm=logarithm, air=air, said_air=_TYPES.get(kind) if stated is None else stated
    )
    return PlainSpectrum(found.spectrum, [*found.assumed, *assumed], found.done)


def _without_ends(flux: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Flux with NaN for the zeros before the first and after the last other value, and what was assumed of them."""
    filled = np.flatnonzero(flux != 0)
    if not len(filled) or len(filled) == len(flux) or (filled[0] == 0 and filled[-1] == len(flux) - 1):
        return flux, []
    inside = (np.arange(len(flux)) >= filled[0]) & (np.arange(len(flux)) <= filled[-1])
    return np.where(inside, flux, np.nan), [_NO_DATA]
