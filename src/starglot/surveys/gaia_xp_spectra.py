"""Gaia XP sampled spectra: files of many, as the archive and GaiaXPy write them.

A row has source_id and the arrays flux and flux_error (W m-2 nm-1), sampled from 336 to 1020 nm every 2 nm (vacuum).
In CSV an array is a text, "(1.0, 2.0)" or "[1.0 2.0]"; ECSV has a header of comments above; FITS has arrays of fixed
or of varying length; a VOTable has fields.  Files are told apart by what is in them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from starglot.errors import StarglotError
from starglot.formats.file_kind import is_fits, opener_of, start_of
from starglot.formats.fits_bytes import Unit
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.tables import FILES

#: Wavelengths of the sampling, A.
WAVELENGTH: NDArray[np.float64] = 10.0 * np.arange(336.0, 1021.0, 2.0)

_ENDING = re.compile(r"\.(csv|ecsv|fits|fit|xml|vot|votable)(\.(gz|bz2|xz))?$", re.IGNORECASE)
#: The archive's files say which pixels of level 8 they hold: XpSampledMeanSpectrum_000000-003111.csv.gz.
_RANGE = re.compile(r"_(\d{6})-(\d{6})\.")
_LEVEL_8 = 35 + 2 * (12 - 8)
_SEPARATOR = re.compile(r"[,\s]+")

#: Flux and its error, made when they are wanted.
Arrays = Callable[[], tuple[NDArray[np.float64], NDArray[np.float64]]]
Row = tuple[int, Arrays]


def find_files(candidates: pa.Table, root: Path) -> pa.Table:
    """The file of each candidate (protocol ``FindFiles``); its row is null, as reading finds it by source_id.

    Files named as the archive names them are taken by their range of pixels; of others the ids are read.  Raises
    StarglotError for one of the latter that cannot be.
    """
    ids = candidates["obsid"].to_numpy()
    place: dict[int, str] = {}
    ranges: list[tuple[int, int, str]] = []
    for path in sorted(path for path in root.iterdir() if path.is_file() and _ENDING.search(path.name)):
        named = _RANGE.search(path.name)
        if named:
            ranges.append((int(named[1]), int(named[2]), path.name))
            continue
        try:
            place |= dict.fromkeys((source for source, _ in rows_of(path)), path.name)
        except SpectrumRejected as why:
            raise StarglotError(
                f"a file of spectra cannot be read: {why.detail}",
                where=path,
                allowed="sampled spectra of Gaia's archive or of GaiaXPy's calibrate: CSV, ECSV, FITS, VOTable",
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

    wanted: others need not come.  Raises SpectrumRejected for a file that is not
    there, damaged, or that holds no sampled spectra.
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
        yield from _of_table(Table.read(path, format="fits"))
    elif start.lstrip()[:1] == b"<":
        yield from _of_table(Table.read(path, format="votable", use_names_over_ids=True))
    else:
        yield from _of_text(path, start, wanted)


def _of_table(table: Table) -> Iterator[Row]:
    names = _columns(table.colnames)
    for source, flux, error in zip(*(table[name] for name in names), strict=True):
        yield int(source), lambda flux=flux, error=error: (_numbers(flux), _numbers(error))  # type: ignore[misc]


def _of_text(path: Path, start: bytes, wanted: set[int] | None) -> Iterator[Row]:
    """CSV or ECSV, batch by batch: the archive's files have hundreds of MB."""
    opened = opener_of(path.open("rb").read(8)) or (lambda path: path.open("rb"))
    with opened(path) as lines:
        comments = 0
        for line in lines:
            if not line.startswith(b"#"):
                break
            comments += 1
    with opened(path) as content:
        batches = pyarrow.csv.open_csv(
            content,
            read_options=pyarrow.csv.ReadOptions(skip_rows=comments, block_size=8 << 20),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(column_types={"source_id": pa.int64()}),
        )
        names = _columns(batches.schema.names)
        for batch in batches:
            sources, flux, error = (batch.column(batch.schema.get_field_index(name)) for name in names)
            for row, source in enumerate(sources.to_pylist()):
                if source is not None and (wanted is None or source in wanted):
                    yield (
                        source,
                        lambda row=row, flux=flux, error=error: (  # type: ignore[misc]
                            _numbers(flux[row].as_py()),
                            _numbers(error[row].as_py()),
                        ),
                    )


def _columns(names: Sequence[str]) -> tuple[str, str, str]:
    """The file's spelling of source_id, flux and flux_error."""
    lower = {name.lower(): name for name in names}
    missing = [name for name in ("source_id", "flux", "flux_error") if name not in lower]
    if missing:
        hint = "; continuous spectra: sample them with GaiaXPy's calibrate" if "bp_coefficients" in lower else ""
        raise SpectrumRejected("layout_unknown", f"the table has no column {', '.join(missing)}{hint}")
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
    """Whether these are the header and data units of a FITS file of sampled spectra."""
    return any(
        {"source_id", "flux", "flux_error"}
        <= {unit.text(f"TTYPE{number}").lower() for number in range(1, unit.count("TFIELDS", 0) + 1)}
        for unit in found[1:]
    )


def read_all(path: Path) -> list[tuple[str, RawSpectrum | SpectrumRejected]]:
    """Every spectrum of a file, by source id."""
    return [(str(source), _spectrum(arrays)) for source, arrays in rows_of(path)]
