"""Spectra on their own, from files or arrays, to a row of flux that a model reads; and what was found on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.recipes import Recipe
from starglot.errors import StarglotError
from starglot.rejections import REJECTIONS
from starglot.spectra.clean import clean
from starglot.spectra.mask import good_pixels
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.resample import wavelength_grid
from starglot.surveys.identify import FILE_READERS, FileSpectrum, read_file
from starglot.surveys.plain_spectrum import NO_ERROR, PLAIN, from_columns

#: A spectrum is answered, with a flag, if no more than this part of the grid is without good pixels.
MOST_MISSING = 0.25
#: Where S/N is taken (A): the r band, in which the training spectra's is given.
R_BAND = (5500.0, 7000.0)

_FRAME = "vacuum wavelengths as observed, not shifted to rest"
#: What wavelengths are multiplied by to become Angstrom, in the units that they are often given in instead.
_OTHER_UNITS = {"nanometres": 10.0, "micrometres": 1e4, "metres": 1e10}


@dataclass
class Single:
    """One spectrum.

    file, name: where it is from ('' for arrays; '' in a file of one); survey: whose format; flux: (grid,) int16, None
    for one that cannot be used; problem: why not, a sentence; reason: of ``rejections.REJECTIONS``; snr: per pixel,
    median of the r band, None where it is not known; missing: part of the grid without good pixels; notes: what was
    done, in words.
    """

    file: str
    name: str
    survey: str
    flux: np.ndarray | None = None
    problem: str | None = None
    reason: str | None = None
    snr: float | None = None
    missing: float = 0.0
    notes: list[str] = field(default_factory=list)


def read_singles(given: Any, recipe: Recipe, air: bool = False) -> list[Single]:
    """The cleaned spectra of files or arrays.

    given: a path, or (wavelength, flux) or (wavelength, flux, error): arrays (n,), flux and error also (spectra, n),
    with units (astropy) or without; or a list of any of these.
    air: whether wavelengths are those in air where a file does not say, and in arrays; they are converted.
    Raises StarglotError for anything else.  A spectrum that cannot be used is one with a problem.
    """
    if isinstance(given, str | PathLike):
        return [_cleaned(*found, recipe) for found in _of_file(Path(given), air)]
    if isinstance(given, tuple) and len(given) in (2, 3) and all(hasattr(part, "__len__") for part in given):
        if not any(isinstance(part, str | PathLike) for part in given):
            return [_cleaned(*found, recipe) for found in _of_arrays(air, *given)]
    if isinstance(given, list | tuple):
        return [single for one in given for single in read_singles(one, recipe, air)]
    raise StarglotError(
        f"this is no spectrum: {type(given).__name__}",
        allowed="a path; (wavelength, flux) or (wavelength, flux, error) as arrays; a list of these",
        todo="give one of these",
    )


def _of_file(path: Path, air: bool) -> Iterator[tuple[str, str, FileSpectrum]]:
    try:
        survey, spectra = read_file(path, air)
    except SpectrumRejected as why:
        survey, spectra = "", [FileSpectrum("", why)]
    for spectrum in spectra:
        yield str(path), survey, spectrum


def _of_arrays(air: bool, wavelength: Any, flux: Any, error: Any = None) -> Iterator[tuple[str, str, FileSpectrum]]:
    many = np.ndim(flux) == 2
    errors = error if many and error is not None else [error] * (len(flux) if many else 1)
    for number, (row, sigma) in enumerate(zip(flux if many else [flux], errors, strict=True)):
        name = str(number) if many else ""
        try:
            yield "", PLAIN, FileSpectrum.plain(name, from_columns(wavelength, row, sigma, air=air))
        except SpectrumRejected as why:
            yield "", PLAIN, FileSpectrum(name, why)


def _cleaned(file: str, survey: str, found: FileSpectrum, recipe: Recipe) -> Single:
    single = Single(file, found.name, survey)
    raw = found.spectrum
    if isinstance(raw, SpectrumRejected):
        single.problem, single.reason = _sentence(raw), raw.reason
        return single
    single.notes = [_FRAME, *found.done, *(f"assumed: {what}" for what in found.assumed)]
    try:
        single.flux, masked = _clean(raw, recipe)
    except SpectrumRejected as why:
        single.problem, single.reason = _sentence(why, raw, recipe), why.reason
        return single
    good = good_pixels(raw.mask, raw.ivar, recipe.mask_bits)
    single.notes.append(f"{masked} of {len(good)} pixels masked")
    gaps, single.missing = _gaps(raw.wavelength[good], recipe)
    if gaps:
        listed = ", ".join(f"{low:.0f}-{high:.0f}" for low, high in gaps)
        single.notes.append(f"no good pixel at {listed} A ({single.missing:.1%} of the range): filled in")
    single.snr = None if NO_ERROR in found.assumed else _snr(raw, good)
    return single


def _clean(raw: RawSpectrum, recipe: Recipe) -> tuple[np.ndarray, int]:
    """As the workflow cleans; a spectrum that it refuses for its ends alone has them filled, up to a limit."""
    try:
        return clean(raw, recipe)
    except SpectrumRejected as why:
        if why.reason != "range_not_covered":
            raise
        good = good_pixels(raw.mask, raw.ivar, recipe.mask_bits)
        if _gaps(raw.wavelength[good], recipe)[1] > MOST_MISSING:
            raise
        return clean(raw, recipe.model_copy(update={"max_edge": float("inf")}))


def _gaps(points: np.ndarray, recipe: Recipe) -> tuple[list[tuple[float, float]], float]:
    """Stretches of the grid's range without a good pixel, wider than the recipe bridges, and what part they are.

    points: wavelengths of the good pixels, increasing.
    """
    grid = wavelength_grid(recipe.wavelength)
    inside = points[(points >= grid[0]) & (points <= grid[-1])]
    knots = np.concatenate([[grid[0]], inside, [grid[-1]]])
    allowed = np.full(len(knots) - 1, recipe.max_gap)
    allowed[[0, -1]] = np.where(len(inside) > 0, recipe.max_edge, 0.0)
    wide = np.flatnonzero(np.diff(knots) > allowed)
    gaps = [(float(knots[at]), float(knots[at + 1])) for at in wide]
    return gaps, sum(high - low for low, high in gaps) / float(grid[-1] - grid[0])


def _snr(raw: RawSpectrum, good: np.ndarray) -> float | None:
    """Median S/N of the good pixels in the r band, None where there are none."""
    mine = good & (raw.wavelength >= R_BAND[0]) & (raw.wavelength <= R_BAND[1])
    return float(np.median(raw.flux[mine] * np.sqrt(raw.ivar[mine]))) if mine.any() else None


def _sentence(why: SpectrumRejected, raw: RawSpectrum | None = None, recipe: Recipe | None = None) -> str:
    """Why a spectrum cannot be used, and what would help where that is known."""
    if why.reason == "file_missing":
        return "there is no such file"
    said = f"{REJECTIONS[why.reason]} ({why.detail})" if why.detail else REJECTIONS[why.reason]
    if why.reason == "layout_unknown":
        known = ", ".join(FILE_READERS)
        return (
            f"no spectrum is recognised in the file: {why.detail}; read are spectra of {known}, and tables with "
            "columns called wavelength, flux and, where it is known, error, and images of one axis"
        )
    if why.reason == "other_pixels":
        return (
            f"{said}: this model reads spectra on its survey's own pixels alone; give it a file of that survey as "
            "delivered, or take a model whose recipe resamples (`interpolation: cubic`)"
        )
    if why.reason == "range_not_covered" and raw is not None and recipe is not None:
        grid, middle = wavelength_grid(recipe.wavelength), float(np.median(raw.wavelength))
        for unit, factor in _OTHER_UNITS.items():
            if grid[0] <= middle * factor <= grid[-1] and not grid[0] <= middle <= grid[-1]:
                return f"{said}: these look like {unit}; give the column of wavelengths its unit, or Angstrom"
    return said


def spectra_of(singles: Sequence[Single]) -> np.ndarray:
    """(n, grid) int16 flux of those that can be used."""
    return np.stack([single.flux for single in singles if single.flux is not None])
