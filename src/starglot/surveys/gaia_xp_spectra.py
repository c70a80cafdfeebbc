"""Gaia XP spectra: files of many, as the archive and GaiaXPy write them.

A row has source_id and the arrays flux and flux_error (W m-2 nm-1), sampled from 336 to 1020 nm every 2 nm (vacuum).
In CSV an array is a text, "(1.0, 2.0)" or "[1.0 2.0]"; ECSV has a header of comments above; FITS has arrays of fixed
or of varying length; a VOTable has fields.  Files are told apart by what is in them.  What has coefficients instead
is sampled by :mod:`.gaia_xp_continuous`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from starglot.errors import StarglotError
from starglot.formats.file_kind import is_fits, start_of
from starglot.formats.fits_bytes import Unit
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.gaia_xp_continuous import SIGN, FluxError, Sampled, require_gaiaxpy
from starglot.surveys.gaia_xp_text import text_batches
from starglot.tables import FILES

#: Wavelengths of the sampling, A.
WAVELENGTH: NDArray[np.float64] = 10.0 * np.arange(336.0, 1021.0, 2.0)

_ENDING = re.compile(r"\.(csv|ecsv|fits|fit|xml|vot|votable)(\.(gz|bz2|xz))?$", re.IGNORECASE)
#: The archive's files say which pixels of level 8 they hold: XpSampledMeanSpectrum_000000-003111.csv.gz.
_RANGE = re.compile(r"_(\d{6})-(\d{6})\.")
_LEVEL_8 = 35 + 2 * (12 - 8)
_SEPARATOR = re.compile(r"[,\s]+")

#: Flux and its error, made when they are wanted.
Arrays = Callable[[], FluxError]
Row = tuple[int, Arrays]


def find_files(candidates: pa.Table, root: Path) -> pa.Table:
    """The file of each candidate (protocol ``FindFiles``); its row is null, as reading finds it by source_id.

    Files named as the archive names them are taken by their range of pixels; of others the ids are read.  Raises
    StarglotError for one of the latter that cannot be, and for continuous spectra where GaiaXPy is not installed.
    """
    ids = candidates["obsid"].to_numpy()
    place: dict[int, str] = {}
    ranges: list[tuple[int, int, str]] = []
    for path in sorted(path for path in root.iterdir() if path.is_file() and _ENDING.search(path.name)):
        named = _RANGE.search(path.name)
        try:
            if named:
                if "continuous" in path.name.lower():
                    require_gaiaxpy()
                ranges.append((int(named[1]), int(named[2]), path.name))
                continue
            place |= dict.fromkeys((source for source, _ in rows_of(path)), path.name)
        except SpectrumRejected as why:
            raise StarglotError(
                f"a file of spectra cannot be read: {why.detail}",
                where=path,
                allowed="spectra of Gaia's archive or of GaiaXPy's calibrate: CSV, ECSV, FITS, VOTable",
                todo="fetch it again, or move what is no such file out of the folder",
            ) from why
    status = {path.name: path.stat() for path in root.iterdir() if path.is_file()}
    rows = []
    for source in ids.tolist():
        pixel = source >> _LEVEL_8
        file = place.get(source) or next((name for low, high, name in ranges if low <= pixel <= high), None)
        at = status[file] if file else None
        size, mtime = (at.st_size, at.st_mtime_ns) if at else (None, None)
        rows.append({"file": file, "row": None, "size": size, "mtime": mtime})
    return pa.Table.from_pylist(rows, schema=FILES)


def read(rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
    """Each obsid (source_id) once: its spectrum, or why there is none (protocol ``ReadSpectra``)."""
    wanted: dict[str | None, list[int]] = {}
    for obsid, file in zip(rows["obsid"].to_pylist(), rows["file"].to_pylist(), strict=True):
        wanted.setdefault(file, []).append(obsid)
    for file, obsids in wanted.items():
        if file is None:
            yield from ((obsid, SpectrumRejected("file_missing", "no file has this source")) for obsid in obsids)
            continue
        left = set(obsids)
        try:
            for source, arrays in rows_of(root / file, left):
                if source in left:
                    left.remove(source)
                    yield source, _spectrum(arrays)
        except SpectrumRejected as why:
            yield from ((obsid, why) for obsid in sorted(left))
            continue
        missing = "no row of this source_id"
        yield from ((obsid, SpectrumRejected("not_in_file", missing)) for obsid in sorted(left))


def _spectrum(arrays: Arrays) -> RawSpectrum | SpectrumRejected:
    try:
        flux, error = arrays()
    except SpectrumRejected as why:
        return why
    except ValueError as wrong:
        return SpectrumRejected("file_unreadable", f"an array with a value that is no number: {wrong}")
    if not len(flux) == len(error) == len(WAVELENGTH):
        detail = f"flux {len(flux)}, flux_error {len(error)}; the sampling has {len(WAVELENGTH)}"
        return SpectrumRejected("lengths_differ", detail)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ivar = np.where(np.isfinite(flux) & (error > 0), 1.0 / error**2, 0.0)
    return RawSpectrum(WAVELENGTH, flux, np.where(np.isfinite(ivar), ivar, 0.0), np.zeros(len(flux), np.int64))


# ---------------------------------------------------------------- formats


def rows_of(path: Path, wanted: set[int] | None = None) -> Iterator[Row]:
    """The source ids of a file, each with a function that gives its flux and its error, in the file's order.

    wanted: others need not come.  Raises SpectrumRejected for a file that is not there, damaged, or that holds no
    spectra; and for continuous ones where GaiaXPy is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of headers; what is read is checked here
            yield from _of_file(path, wanted)
    except FileNotFoundError:
        raise SpectrumRejected("file_missing", "no such file") from None
    except SpectrumRejected:
        raise
    except Exception as error:  # what parsers of three formats raise for a damaged file
        raise SpectrumRejected(
            "file_unreadable", " ".join(str(error).split())[:200] or type(error).__name__
        ) from error


def _of_file(path: Path, wanted: set[int] | None) -> Iterator[Row]:
    start = start_of(path)
    if is_fits(start):
        yield from _of_table(path, Table.read(path, format="fits"), wanted)
    elif start.lstrip()[:1] == b"<":
        yield from _of_table(path, Table.read(path, format="votable", use_names_over_ids=True), wanted)
    else:
        yield from _of_text(path, wanted)


def _of_table(path: Path, table: Table, wanted: set[int] | None) -> Iterator[Row]:
    names = _columns(table.colnames)
    if len(names) == 1:
        sampled = Sampled(path, WAVELENGTH, wanted, text=False)
        yield from _of_coefficients(sampled, [int(source) for source in table[names[0]]])
        return
    for source, flux, error in zip(*(table[name] for name in names), strict=True):
        yield int(source), lambda flux=flux, error=error: (_numbers(flux), _numbers(error))  # type: ignore[misc]


def _of_text(path: Path, wanted: set[int] | None) -> Iterator[Row]:
    """CSV or ECSV, batch by batch: the archive's files have hundreds of MB."""
    sampled = Sampled(path, WAVELENGTH, wanted, text=True)
    for batch in text_batches(path):
        names = _columns(batch.schema.names)
        sources, *arrays = (batch.column(batch.schema.get_field_index(name)) for name in names)
        numbered = [
            (row, source)
            for row, source in enumerate(sources.to_pylist())
            if source is not None and (wanted is None or source in wanted)
        ]
        if not arrays:
            yield from _of_coefficients(sampled, [source for _, source in numbered])
            continue
        flux, error = arrays
        for row, source in numbered:
            yield (
                source,
                lambda row=row, flux=flux, error=error: (  # type: ignore[misc]
                    _numbers(flux[row].as_py()),
                    _numbers(error[row].as_py()),
                ),
            )


def _of_coefficients(sampled: Sampled, sources: Sequence[int]) -> Iterator[Row]:
    for source in sources:
        yield source, partial(sampled.of, source)


def _columns(names: Sequence[str]) -> tuple[str, ...]:
    """The file's spelling of source_id, flux and flux_error; of source_id alone, where spectra are continuous."""
    lower = {name.lower(): name for name in names}
    if SIGN in lower and "source_id" in lower:
        require_gaiaxpy()
        return (lower["source_id"],)
    missing = [name for name in ("source_id", "flux", "flux_error") if name not in lower]
    if missing:
        raise SpectrumRejected("layout_unknown", f"the table has no column {', '.join(missing)}")
    return lower["source_id"], lower["flux"], lower["flux_error"]


def _numbers(values: object) -> NDArray[np.float64]:
    """An array, or the text of one: "(1.0, 2.0)", "[1.0 2.0]"; null and masked values are NaN."""
    if values is None:
        return np.empty(0)
    if isinstance(values, str | bytes):
        text = values.decode() if isinstance(values, bytes) else values
        parts = _SEPARATOR.split(text.strip().strip("()[]").strip())
        return np.array([np.nan if part in ("null", "--") else float(part) for part in parts if part])
    return np.ma.filled(np.ma.asarray(values, np.float64), np.nan)


def is_gaia_xp(found: Sequence[Unit]) -> bool:
    """Whether these are the header and data units of a FITS file of sampled or of continuous spectra."""
    return any(
        "source_id" in columns and (SIGN in columns or {"flux", "flux_error"} <= columns)
        for columns in (
            {unit.text(f"TTYPE{number}").lower() for number in range(1, unit.count("TFIELDS", 0) + 1)}
            for unit in found[1:]
        )
    )


def read_all(path: Path) -> list[tuple[str, RawSpectrum | SpectrumRejected]]:
    """Every spectrum of a file, by source id."""
    return [(str(source), _spectrum(arrays)) for source, arrays in rows_of(path)]
