"""LAMOST low-resolution spectra: three file layouts, told apart by their structure.

- COADD table (seen in DR10): a binary table named COADD with one row of vectors FLUX IVAR WAVELENGTH ANDMASK ORMASK
  NORMALIZATION; its primary header keeps NAXIS1 and NAXIS2 of older releases beside NAXIS = 0.
- image (seen in DR2, DR3, DR7, DR8): five rows of pixels, which EXTEN0 names: flux, inverse variance, wavelength,
  andmask, ormask.
- image of DR1: the third row is a "Subcontinuum"; wavelengths follow from COEFF0 and COEFF1.

Release names and pixel counts are not looked at: they vary within one layout.  Wavelengths are vacuum Angstrom,
heliocentric, not at rest; flux is relative; ORMASK is a sum of bits, stored as float.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from starglot.formats.fits_bytes import NotReadable, Unit, image, inflate, one_row, units
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected

COLUMNS = ("FLUX", "IVAR", "WAVELENGTH", "ORMASK")

#: The mask of a pixel whose stored mask is no integer: every bit is set.
ALL_BITS = -1


def read_spectrum(path: str | PathLike[str]) -> RawSpectrum:
    """Read a LAMOST low-resolution spectrum, gzipped or not (whatever its name says).

    Raises SpectrumRejected: ``file_missing``, ``file_unreadable`` (cannot be opened, damaged, cut off, not FITS),
    ``layout_unknown``, ``lengths_differ`` (of a COADD table's vectors).
    """
    try:
        content = inflate(Path(path).read_bytes())
        found = units(content)
    except (FileNotFoundError, NotADirectoryError):
        raise SpectrumRejected("file_missing", "no such file") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no file can be called so
            raise SpectrumRejected("file_missing", "no such file") from None
        raise SpectrumRejected("file_unreadable", error.strerror or type(error).__name__) from error
    except NotReadable as error:
        raise SpectrumRejected("file_unreadable", str(error)) from error
    try:
        for unit in found[1:]:
            if unit.text("XTENSION") == "BINTABLE" and unit.text("EXTNAME").upper() == "COADD":
                return _from_table(content, unit, found[0])
        return _from_image(content, found[0], [unit.text("EXTNAME") for unit in found[1:]])
    except NotReadable as error:
        raise SpectrumRejected("layout_unknown", str(error)) from error


def is_lamost(found: Sequence[Unit]) -> bool:
    """Whether these are the header and data units of a spectrum in one of the layouts above."""
    named = {name.lower() for name in re.split(r"[,\s]+", found[0].text("EXTEN0")) if name}
    if {"flux", "inverse", "ormask"} <= named:
        return True
    table = next((unit for unit in found[1:] if unit.text("EXTNAME").upper() == "COADD"), None)
    if table is None:
        # A spectrum that lost its table says so when it is read.
        return found[0].text("TELESCOP").upper() == "LAMOST"
    columns = {table.text(f"TTYPE{place}").upper() for place in range(1, table.count("TFIELDS", 0) + 1)}
    return set(COLUMNS) <= columns


def _from_table(content: bytes, unit: Unit, primary: Unit) -> RawSpectrum:
    rows = unit.count("NAXIS2")
    if rows != 1:
        raise NotReadable(f"the COADD table has {rows} rows, not one row of vectors")
    _require_vacuum(primary)
    columns = one_row(content, unit, COLUMNS)
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise NotReadable(f"the COADD table has no column {', '.join(missing)}")
    lengths = [len(columns[name]) for name in COLUMNS]
    if len(set(lengths)) > 1:
        stated = ", ".join(f"{name} {length}" for name, length in zip(COLUMNS, lengths, strict=True))
        raise SpectrumRejected("lengths_differ", stated)
    return RawSpectrum(columns["WAVELENGTH"], columns["FLUX"], columns["IVAR"], _bits(columns["ORMASK"]))


def _from_image(content: bytes, unit: Unit, extensions: list[str]) -> RawSpectrum:
    if unit.count("NAXIS") == 0:
        named = ", ".join(name or "(unnamed)" for name in extensions) or "none"
        raise NotReadable(f"no COADD table and no image in the primary unit; extensions: {named}")
    rows = image(content, unit)
    names = [name.lower() for name in re.split(r"[,\s]+", unit.text("EXTEN0")) if name]
    if len(names) != len(rows) or not {"flux", "inverse", "ormask"} <= set(names):
        raise NotReadable(f"an image of {len(rows)} rows, which EXTEN0 calls {' '.join(names) or 'nothing'!r}")
    _require_vacuum(unit)
    by_name = dict(zip(names, rows, strict=True))
    wavelength = by_name["wavelength"] if "wavelength" in by_name else _log_linear(unit, rows.shape[1])
    return RawSpectrum(wavelength, by_name["flux"], by_name["inverse"], _bits(by_name["ormask"]))


def _log_linear(unit: Unit, n: int) -> NDArray[np.float64]:
    """The wavelengths that a DR1 header states: log10 of the first pixel in COEFF0, the step in COEFF1."""
    kind = unit.text("WFITTYPE")
    if kind != "LOG-LINEAR":
        raise NotReadable(f"no wavelength row, and WFITTYPE is {kind!r}, not 'LOG-LINEAR'")
    exponents: NDArray[np.float64] = unit.number("COEFF0") + unit.number("COEFF1") * np.arange(n, dtype=np.float64)
    return np.power(10.0, exponents)


def _require_vacuum(primary: Unit) -> None:
    if primary.is_false("VACUUM"):
        raise NotReadable("VACUUM is F: air wavelengths are not expected")


def _bits(stored: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bit sums stored as float, as integers; what is no integer becomes ALL_BITS."""
    whole = (np.rint(stored) == stored) & (np.abs(stored) < 2.0**53)  # false for NaN and infinity as well
    if whole.all():
        return stored.astype(np.int64)
    return np.where(whole, np.where(whole, stored, 0.0).astype(np.int64), ALL_BITS)
