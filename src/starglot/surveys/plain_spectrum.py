"""A spectrum as anybody's table: columns of wavelength and flux, perhaps an error; CSV, ECSV, FITS or Parquet.

Columns are known by usual names, whatever their case.  A unit that the table states is followed; without one,
wavelengths are taken for Angstrom.  Few tables say whether their wavelengths are those in air or in vacuum: by the
name of the column (``wave_air``, ``wave_vac``), or by the keywords AIRORVAC or VACUUM.  Of others the user says it,
or vacuum is assumed, and said.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from starglot.formats.file_kind import is_fits, other_kind, start_of
from starglot.spectra.air import air_to_vacuum
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected

if TYPE_CHECKING:
    from astropy.table import Table

#: What such a file is called, in place of a survey.
PLAIN = "table"
WAVELENGTH = ("wavelength", "wave", "lambda", "lam", "wl", "loglam")
FLUX = ("flux", "flux_density", "f_lambda")
ERROR = ("error", "err", "flux_error", "flux_err", "e_flux", "uncertainty", "sigma", "ivar")
#: Assumed of a spectrum without errors, whose S/N is not known therefore.
NO_ERROR = "every pixel with a finite flux is good, as no error is given"
_VACUUM = "wavelengths are those in vacuum"
#: Endings of a wavelength column's name -> whether it is of air.
_ENDINGS = {"_air": True, "_vac": False, "_vacuum": False}
#: Greatest number that stands for log10 of a wavelength in Angstrom.
LOG10 = 6.0


@dataclass(frozen=True)
class PlainSpectrum:
    """A spectrum; what its file does not say and was taken to be so; and what was done to it; both in words."""

    spectrum: RawSpectrum
    assumed: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


def read_plain(path: Path, air: bool = False) -> PlainSpectrum:
    """The spectrum of a table.

    air: whether wavelengths are those in air where the table does not say.
    Raises SpectrumRejected: ``file_unreadable`` for a file that is no table, ``layout_unknown`` for one without
    columns of wavelength and flux, or with units that are none of these.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what astropy says of headers; what is read is checked below
        table = _read(path)
        names = {name.lower(): name for name in table.colnames}
        media = {_bare(name): of_air for name in names for end, of_air in _ENDINGS.items() if name.endswith(end)}
        names |= {_bare(name): names[name] for name in names if _bare(name) not in names}
        wave, flux, error = (_first(names, wanted) for wanted in (WAVELENGTH, FLUX, ERROR))
        if wave is None or flux is None:
            shown = table.colnames[:6]
            listed = (", ".join(shown) or "none") + (" ..." if len(table.colnames) > len(shown) else "")
            raise SpectrumRejected(
                "layout_unknown", f"neither a known survey's nor a table of a spectrum, its columns are {listed}"
            )
        # One row of vectors is a spectrum, too.
        row = 0 if len(table) == 1 and table[flux].ndim > 1 else slice(None)
        values = {name: _quantity(table[name], row) for name in (wave, flux, error) if name}
    stated = media.get(_bare(wave.lower()))
    return from_columns(
        values[wave],
        values[flux],
        values[error] if error else None,
        logarithm=_bare(wave.lower()) == "loglam",
        inverse_variance=error is not None and error.lower() == "ivar",
        air=air,
        said_air=said_air(table.meta) if stated is None else stated,
    )


def _bare(name: str) -> str:
    """The name of a column without an ending that says whether it is of air."""
    return next((name.removesuffix(end) for end in _ENDINGS if name.endswith(end)), name)


def said_air(header: Mapping[str, Any]) -> bool | None:
    """What a header says of its wavelengths: True in air, False in vacuum, None nothing that is understood.

    AIRORVAC is 'air' or 'vac' (SDSS-III), VACUUM a logical (LAMOST, SDSS).
    """
    by_name = {str(name).upper(): value for name, value in header.items()}
    word = str(by_name.get("AIRORVAC", "")).strip().lower()
    if word in ("air", "vac", "vacuum"):
        return word == "air"
    vacuum = str(by_name.get("VACUUM", "")).strip().lower()
    return {"true": False, "t": False, "1": False, "false": True, "f": True, "0": True}.get(vacuum)


def from_columns(
    wavelength: Any,
    flux: Any,
    error: Any = None,
    *,
    logarithm: bool = False,
    inverse_variance: bool = False,
    air: bool = False,
    said_air: bool | None = None,
) -> PlainSpectrum:
    """The spectrum of arrays (n,), with units (astropy) or bare.

    wavelength: without a unit Angstrom, or its logarithm to the base of 10; flux: per wavelength, on any scale, or
    with a unit per frequency; error: 1 sigma of the flux, or its inverse variance; None: unknown, every finite pixel
    counts the same; said_air: what the file says of its wavelengths (None: nothing); air: whether they are those in
    air otherwise.  A pixel without a finite flux or with an error that is not positive is masked.
    Wavelengths that fall are turned round.
    Raises SpectrumRejected ``layout_unknown`` for other units, and ``lengths_differ``.
    """
    assumed, done = [], []
    wave, bare = _in_angstrom(wavelength, logarithm)
    if said_air or (said_air is None and air):
        wave = air_to_vacuum(wave)
        done.append(f"converted from air to vacuum ({'the file says air' if said_air else 'you said air'})")
    elif said_air is None:
        assumed.append(_VACUUM)
    if bare and not logarithm:
        assumed.append("wavelengths are in Angstrom, as no unit is given")
    value = _numbers(flux)
    sigma = None if error is None else _numbers(error)
    lengths = {"wavelength": len(wave), "flux": len(value)} | ({} if sigma is None else {"error": len(sigma)})
    if len(set(lengths.values())) > 1:
        raise SpectrumRejected("lengths_differ", ", ".join(f"{name} {n}" for name, n in lengths.items()))
    if sigma is None:
        ivar = np.isfinite(value).astype(float)
        assumed.append(NO_ERROR)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            ivar = sigma if inverse_variance else 1.0 / sigma**2
            ivar = np.where(np.isfinite(value) & (sigma > 0) & np.isfinite(ivar), ivar, 0.0)
    if _per_frequency(flux):
        value, ivar = value / wave**2, ivar * wave**4
        assumed.append("flux per frequency was turned into flux per wavelength")
    if len(wave) > 1 and (np.diff(wave) < 0).all():
        wave, value, ivar = wave[::-1], value[::-1], ivar[::-1]
    return PlainSpectrum(RawSpectrum(wave, value, ivar, np.zeros(len(wave), np.int64)), assumed, done)


def _read(path: Path) -> Table:
    from astropy.table import Table

    try:
        start = start_of(path)
        if start.startswith(b"PAR1"):
            import pyarrow.parquet as pq

            return Table.from_pandas(pq.read_table(path).to_pandas())
        if is_fits(start):
            return _from_fits(path)
        if start.startswith(b"# %ECSV"):
            return Table.read(path, format="ascii.ecsv")
        if other := other_kind(start):
            raise SpectrumRejected("file_unreadable", f"{other[0]}: {other[1]}")
        return Table.read(path, format="ascii.csv")
    except SpectrumRejected:
        raise
    except Exception as error:  # astropy's guesses end in nearly anything
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpectrumRejected("file_unreadable", f"no FITS file and no table that can be read: {detail}") from error


def _from_fits(path: Path) -> Table:
    """The first table of a FITS file that has a flux, else the first table."""
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(path, memmap=False) as units:
        tables = [number for number, unit in enumerate(units) if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
        named = ", ".join(unit.name or "(unnamed)" for unit in units)
        if not tables:
            raise SpectrumRejected(
                "layout_unknown", f"a FITS file of no known survey, without a table; units: {named}"
            )
        with_flux = [n for n in tables if {str(name).lower() for name in units[n].columns.names} & set(FLUX)]
        table = Table.read(units[[*with_flux, *tables][0]])
        table.meta = {**units[0].header, **table.meta}
        return table


def _first(names: Mapping[str, str], wanted: tuple[str, ...]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _quantity(column: Any, row: Any) -> Any:
    """A column's numbers, masked ones as NaN, with its unit where it has one."""
    from astropy import units

    try:
        values = np.ma.filled(np.ma.asarray(getattr(column, "data", column))[row].astype(float), np.nan)
    except (TypeError, ValueError):
        raise SpectrumRejected("layout_unknown", f"the column {column.name} holds no numbers") from None
    unit = getattr(column, "unit", None)
    return values if unit is None else units.Quantity(values, unit)


def _numbers(values: Any) -> np.ndarray:
    return np.atleast_1d(np.asarray(getattr(values, "value", values), float))


def _in_angstrom(wavelength: Any, logarithm: bool) -> tuple[np.ndarray, bool]:
    """Wavelengths in Angstrom, and whether they had no unit."""
    unit = getattr(wavelength, "unit", None)
    if logarithm:
        exponents = _numbers(wavelength)
        if np.nanmax(exponents, initial=-np.inf) > LOG10:
            raise SpectrumRejected(
                "layout_unknown", "loglam is not the logarithm (base 10) of wavelengths in Angstrom"
            )
        return np.power(10.0, exponents), True
    if unit is None or not str(unit):
        return _numbers(wavelength), True
    from astropy import units

    try:
        # "angstroms", as some tables write it, is no unit of astropy's.
        known = units.Unit(str(unit).lower().rstrip("s")) if isinstance(unit, units.UnrecognizedUnit) else unit
        return _numbers(wavelength) * units.Unit(known).to(units.Angstrom), False
    except Exception as error:  # astropy's own kinds: units that are unknown, or of no length
        raise SpectrumRejected("layout_unknown", f"the unit of the wavelengths is '{unit}', not a length") from error


def _per_frequency(flux: Any) -> bool:
    """Whether a flux has a unit per frequency."""
    from astropy import units

    unit = getattr(flux, "unit", None)
    return unit is not None and units.Unit(unit).is_equivalent(units.Jy)
