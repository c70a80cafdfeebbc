"""Synthetic spectra: grids of parameters and spectra as npz or Parquet files (docs/synthetic.md).

The arrays of an npz file and the columns of a Parquet file have the same names, and nothing of either is executed:
arrays of Python objects are refused.
"""

from __future__ import annotations

import difflib
import logging
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starglot.config.surveys.common import Survey
from starglot.config.surveys.synthetic import Synthetic
from starglot.errors import StarglotError
from starglot.formats.counts import Counts
from starglot.labels import CLASSES, LABELS
from starglot.spectra.air import air_to_vacuum
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.label_values import label_pair
from starglot.surveys.plain_spectrum import from_columns
from starglot.tables import FILES

log = logging.getLogger(__name__)

SETTINGS: type[Survey] = Synthetic

#: Of every grid, and what it may have besides labels and their errors.
_NEEDED, _OPTIONAL = ("wavelength", "medium", "flux"), ("error", "snr", "star", "class")
_MEDIA = ("air", "vacuum")
#: Obsids of a file: those of the next one begin here.
_PER_FILE = 1_000_000_000
#: Wavelengths all below this are no Angstrom of a spectrum that is read here, but nm or micrometres.
_NO_ANGSTROM = 1100.0
_LAYOUT = "docs/synthetic.md has the layout"
#: What a damaged file raises, besides OSError.
_DAMAGED = (OSError, ValueError, EOFError, LookupError, zipfile.BadZipFile, zlib.error, pa.ArrowException)


def read_catalog(settings: Synthetic, counts: Counts) -> pa.Table:
    """One row per spectrum, the grids in their order: obsid, shard, grid and row in it, labels with their errors.

    obsid: of row r (from 0) of the k-th grid (from 1) k x 10^9 + r; model_star: what the file calls the star, the
    same in all files; snr_u ... snr_z: the file's S/N.  A label that no file has is null.

    Raises StarglotError for a grid that is missing or cannot be read, lacks wavelength, medium or flux, has arrays of
    other lengths than its flux has rows, or brings no label at all.
    """
    parts = [_rows(Path(path), place, counts) for place, path in enumerate(settings.catalogs.values())]
    table = pa.concat_tables(parts)
    counts.close(len(table))
    lacking = [name for name in settings.brings if table[name].null_count == len(table)]
    log.info("%d synthetic spectra in %d files; labels that none has: %s", len(table), len(parts), lacking or "none")
    return table


def find_files(candidates: pa.Table, root: Path) -> pa.Table:
    """Where each spectrum is (:class:`starglot.surveys.protocol.FindFiles`): a grid below ``root``, and the row."""
    there = {}
    for name in set(candidates["grid"].to_pylist()):
        path = root / name
        there[name] = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (None, None)
    rows = [
        {"file": name, "row": row, "size": there[name][0], "mtime": there[name][1]}
        for name, row in zip(candidates["grid"].to_pylist(), candidates["row"].to_pylist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=FILES)


def read(rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
    """The spectrum of each row, or why there is none (:class:`starglot.surveys.protocol.ReadSpectra`).

    Wavelengths in air become those in vacuum; a pixel without a finite flux, or with an error that is not positive,
    is masked.
    """
    every = rows.to_pylist()
    for file in dict.fromkeys(row["file"] for row in every):
        mine = [row for row in every if row["file"] == file]
        try:
            spectra = _spectra(root / file, [row["row"] for row in mine])
        except FileNotFoundError:
            yield from ((row["obsid"], SpectrumRejected("file_missing", file)) for row in mine)
            continue
        except _DAMAGED as error:
            reason = SpectrumRejected("file_unreadable", " ".join(str(error).split()))
            yield from ((row["obsid"], reason) for row in mine)
            continue
        for row, given in zip(mine, spectra, strict=True):
            try:
                yield row["obsid"], _raw(*given)
            except SpectrumRejected as why:
                yield row["obsid"], why


def _raw(wavelength: Any, medium: Any, flux: Any, error: Any) -> RawSpectrum:
    """One spectrum of a grid, in vacuum."""
    if flux is None or wavelength is None or medium not in _MEDIA:
        raise SpectrumRejected("layout_unknown", f"no flux, no wavelengths, or their medium is {medium!r}")
    wave = np.asarray(wavelength, np.float64)
    vacuum = air_to_vacuum(wave) if medium == "air" else wave
    return from_columns(vacuum, np.asarray(flux, np.float64), error).spectrum


# ---------------------------------------------------------------- files


@dataclass(frozen=True)
class _Columns:
    """What a catalogue needs of a grid: names in the file, rows, one-dimensional columns by name, wavelengths."""

    names: list[str]
    length: int
    values: dict[str, np.ndarray]
    wavelength: np.ndarray
    media: set[str]


def _rows(path: Path, place: int, counts: Counts) -> pa.Table:
    """The catalogue rows of one grid."""
    grid = _open(path)
    counts.rows += grid.length
    _require_labels(grid, path)
    nothing = np.full(grid.length, np.nan)
    row = np.arange(grid.length)
    snr = _numbers(grid, "snr", path)
    columns: dict[str, Any] = {
        "obsid": pa.array(_PER_FILE * (place + 1) + row),
        "shard": pa.array([path.stem] * grid.length, pa.string()),
        "grid": pa.array([path.name] * grid.length, pa.string()),
        "row": pa.array(row),
        "model_star": _texts(grid.values.get("star"), grid.length),
        "class": _classes(grid, path),
        **{name: pa.array(nothing, mask=np.ones(grid.length, bool)) for name in ("ra", "dec")},
        "gaia_source_id": pa.nulls(grid.length, pa.string()),
        **{f"snr_{band}": pa.array(snr, mask=~np.isfinite(snr)) for band in "ugriz"},
    }
    for name in Synthetic.brings:
        label = LABELS[name]
        values, errors = (_numbers(grid, each, path) for each in (label.name, label.error))
        columns[label.name], columns[label.error] = label_pair(values, errors, label, counts)
    return pa.table(columns)


def _require_labels(grid: _Columns, path: Path) -> None:
    """Refuse a grid without a label, or in another unit of wavelength; say which of its columns are not read."""
    errors = {LABELS[name].error for name in Synthetic.brings}
    known = {*_NEEDED, *_OPTIONAL, *Synthetic.brings, *errors}
    strange = [name for name in grid.names if name not in known]
    if not set(grid.names) & set(Synthetic.brings):
        near = [hit for name in strange for hit in difflib.get_close_matches(name.lower(), Synthetic.brings, n=1)]
        raise StarglotError(
            f"the grid has none of the labels; what it has: {', '.join(grid.names)}",
            where=path,
            allowed=", ".join(Synthetic.brings),
            todo=f"rename its parameters (nearest: {', '.join(near) or 'none'}); {_LAYOUT}",
        )
    if strange:
        log.warning("%s: not read, as no label is called so: %s", path, ", ".join(strange))
    wave = grid.wavelength
    if not np.isfinite(wave).any() or np.nanmax(wave) < _NO_ANGSTROM:
        raise StarglotError(
            f"the wavelengths of the grid go from {np.nanmin(wave, initial=np.inf):g} to "
            f"{np.nanmax(wave, initial=-np.inf):g}",
            where=path,
            allowed="Angstrom",
            todo="write them in Angstrom",
        )


def _open(path: Path) -> _Columns:
    """Names, parameters and wavelengths of a grid; its flux is only measured."""
    try:
        found = _open_parquet(path) if path.suffix == ".parquet" else _open_npz(path)
    except FileNotFoundError as error:
        raise StarglotError(
            "the grid is not there", where=path, todo="correct `spectra` and `grids` of surveys.synthetic"
        ) from error
    except _DAMAGED as error:
        raise StarglotError(
            f"the grid cannot be read: {' '.join(str(error).split())}",
            where=path,
            allowed="an .npz file of plain arrays (no Python objects), or a .parquet file",
            todo=f"write it again; {_LAYOUT}",
        ) from error
    if strange := sorted(found.media - set(_MEDIA)):
        raise StarglotError(
            f"'medium' is {', '.join(map(repr, strange))}: are the wavelengths those in air or in vacuum?",
            where=path,
            allowed=" or ".join(_MEDIA),
            todo=f"write one of these; {_LAYOUT}",
        )
    return found


def _open_npz(path: Path) -> _Columns:
    with zipfile.ZipFile(path) as archive:
        shapes = {name.removesuffix(".npy"): _shape(archive, name) for name in archive.namelist()}
    _require(shapes, path)
    if len(shapes["flux"]) != 2 or shapes["wavelength"] != shapes["flux"][1:]:
        said = f"flux {shapes['flux']}, wavelength {shapes['wavelength']}"
        raise _other_shape(path, said, "flux (spectra, pixels) and wavelength (pixels,)")
    length = shapes["flux"][0]
    if shapes.get("error", shapes["flux"]) != shapes["flux"]:
        raise _other_shape(path, f"error {shapes['error']}", f"the shape of flux, {shapes['flux']}")
    single = [name for name in shapes if name not in (*_NEEDED, "error")]
    wrong = [f"{name} {shapes[name]}" for name in single if _is_read(name) and shapes[name] != (length,)]
    if wrong:
        raise _other_shape(path, ", ".join(wrong), f"one value for each of the {length} spectra")
    with np.load(path, allow_pickle=False) as arrays:
        values = {name: arrays[name] for name in single if _is_read(name)}
        media = {str(each) for each in np.atleast_1d(arrays["medium"])}
        return _Columns(list(shapes), length, values, np.asarray(arrays["wavelength"], float), media)


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """Shape of an array in an npz file, from its header."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape: tuple[int, ...] = header(member)[0]
        return shape


def _open_parquet(path: Path) -> _Columns:
    schema = pq.read_schema(path)
    _require(schema.names, path)
    single = [name for name in schema.names if _is_read(name) and name not in (*_NEEDED, "error")]
    table = pq.read_table(path, columns=["medium", *single])
    if not len(table):
        raise _other_shape(path, "no row", "one row for each spectrum")
    values = {name: table[name].to_numpy(zero_copy_only=False) for name in single}
    media = {str(each) for each in table["medium"].unique().to_pylist()}
    first = next(pq.ParquetFile(path).iter_batches(batch_size=1, columns=["wavelength"]))
    wavelength = first["wavelength"][0].as_py()
    return _Columns(schema.names, len(table), values, np.asarray(wavelength or [np.nan], float), media)


def _spectra(path: Path, rows: Sequence[int]) -> list[tuple[Any, Any, Any, Any]]:
    """(wavelength, medium, flux, error or None) of each of the rows of a grid."""
    if path.suffix == ".parquet":
        there = pq.read_schema(path).names
        names = [name for name in ("wavelength", "medium", "flux", "error") if name in there]
        table = pq.read_table(path, columns=names).take(pa.array(rows, pa.int64()))
        columns = [table[name] if name in names else None for name in ("wavelength", "flux", "error")]
        media = table["medium"].to_pylist()
        vectors = [[_vector(column, at) for column in columns] for at in range(len(rows))]
        return [(wave, media[at], flux, error) for at, (wave, flux, error) in enumerate(vectors)]
    with np.load(path, allow_pickle=False) as arrays:
        wavelength, medium = arrays["wavelength"], str(np.atleast_1d(arrays["medium"])[0])
        flux = arrays["flux"][np.asarray(rows)]
        error = arrays["error"][np.asarray(rows)] if "error" in arrays else None
    return [(wavelength, medium, flux[at], None if error is None else error[at]) for at in range(len(rows))]


def _vector(column: pa.ChunkedArray | None, at: int) -> np.ndarray | None:
    """The numbers of a row's list, NaN for null ones; None where there is no list."""
    found = None if column is None else column[at]
    if found is None or not found.is_valid:
        return None
    return np.asarray(found.values.cast(pa.float64()).to_numpy(zero_copy_only=False))


# ---------------------------------------------------------------- values


def _is_read(name: str) -> bool:
    return name in (*_NEEDED, *_OPTIONAL, *Synthetic.brings, *(LABELS[label].error for label in Synthetic.brings))


def _require(names: Any, path: Path) -> None:
    if missing := [name for name in _NEEDED if name not in names]:
        raise StarglotError(
            f"the grid has no {', '.join(missing)}; what it has: {', '.join(names)}",
            where=path,
            allowed=f"{', '.join(_NEEDED)}, and labels",
            todo=_LAYOUT,
        )


def _other_shape(path: Path, said: str, allowed: str) -> StarglotError:
    return StarglotError(f"the grid's arrays do not go together: {said}", where=path, allowed=allowed, todo=_LAYOUT)


def _numbers(grid: _Columns, name: str, path: Path) -> np.ndarray:
    """A column as float64, NaN where there is none."""
    if name not in grid.values:
        return np.full(grid.length, np.nan)
    try:
        return np.asarray(grid.values[name], np.float64)
    except (TypeError, ValueError) as error:
        raise StarglotError(
            f"'{name}' of the grid holds no numbers: {error}", where=path, todo="write it as numbers, NaN for missing"
        ) from error


def _texts(values: np.ndarray | None, length: int) -> pa.Array:
    """Names as text, null where there is none."""
    given = [None] * length if values is None else values.tolist()
    return pa.array([None if each is None or not str(each).strip() else str(each) for each in given], pa.string())


def _classes(grid: _Columns, path: Path) -> pa.Array:
    letters = _texts(grid.values.get("class"), grid.length)
    if strange := sorted(set(letters.drop_null().to_pylist()) - set(CLASSES)):
        raise StarglotError(
            f"'class' of the grid has {', '.join(strange[:5])}", where=path, allowed=", ".join(CLASSES), todo=_LAYOUT
        )
    return letters
