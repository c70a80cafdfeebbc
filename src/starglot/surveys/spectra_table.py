"""Many spectra in one file, a row each, as users of SPARCL save what it hands out: Parquet, npz or CSV.

SPARCL (Juneau et al. 2024; DESI and SDSS spectra at NOIRLab's Astro Data Lab) has no file format of its own: its
records are saved with columns of vectors, ``wavelength``, ``flux``, ``ivar`` and ``mask``, and names of the spectrum.
Its wavelengths are those in vacuum.  In CSV a vector is text, "[3600.0, 3600.8]" or "[3600.0 3600.8]".
Pickles are not read: one can run any code.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.plain_spectrum import PlainSpectrum, from_columns

#: Names of each column, the first that is there counts.
WAVELENGTH, FLUX = ("wavelength", "wave", "lambda", "loglam"), ("flux", "flux_density")
IVAR, ERROR = ("ivar", "inverse_variance"), ("error", "flux_error", "sigma")
MASK = ("mask", "and_mask", "ormask")
#: What a spectrum is called by: sparcl_id is unique, specid is not.
NAMES = ("sparcl_id", "targetid", "obsid", "source_id", "specid", "id")

_NUMBERS = re.compile(r"^[\[(].*[\])]$", re.S)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")

Found = tuple[str, PlainSpectrum | SpectrumRejected]


def spectra_of_rows(content: bytes, start_name: str) -> list[Found] | None:
    """(name, spectrum) of each row of such a file, in its order; None for a file that is something else.

    content: decompressed; start_name: of the file, for the ending .npz, which a zip archive does not show.
    A spectrum that cannot be used comes as the reason why.
    Raises SpectrumRejected ``file_unreadable`` for pickles, in npz files too.
    """
    columns = columns_of(content, start_name)
    if columns is None:
        return None
    names = {name.lower(): name for name in columns}
    wave, flux, error, mask, name = (
        next((names[one] for one in wanted if one in names), None)
        for wanted in (WAVELENGTH, FLUX, (*IVAR, *ERROR), MASK, NAMES)
    )
    if wave is None or flux is None or not _is_vector(columns[flux]):
        return None
    if len(columns[flux]) == 1 and name is None:
        return None  # one spectrum without a name: a table like any other
    said = {"logarithm": wave.lower() == "loglam", "inverse_variance": error is not None and error.lower() in IVAR}
    alone = not _is_vector(columns[wave])  # one grid for all
    out: list[Found] = []
    for row, values in enumerate(columns[flux]):
        called = str(columns[name][row]) if name else str(row)
        cells = (None if each is None else columns[each][row] for each in (error, mask))
        try:
            out.append((called, _spectrum(columns[wave] if alone else columns[wave][row], values, *cells, **said)))
        except SpectrumRejected as why:
            out.append((called, why))
    return out


def columns_of(content: bytes, name: str, wanted: Collection[str] | None = None) -> dict[str, Sequence[Any]] | None:
    """Columns by name, as they are; None for a file that has none.  name: of the file; wanted: names, in small
    letters, of those that are read; None: all.

    Raises SpectrumRejected ``file_unreadable`` for pickles, in npz files too, and for damaged files.
    """
    if _PICKLE.match(content):
        raise SpectrumRejected(
            "file_unreadable", "a pickle, which can run any code: save the spectra as Parquet or npz instead"
        )

    def chosen(names: Iterable[str]) -> list[str]:
        return [each for each in names if wanted is None or each.lower() in wanted]

    if content.startswith(b"PAR1"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            names = chosen(pq.read_schema(pa.BufferReader(content)).names)
            table = pq.read_table(pa.BufferReader(content), columns=names)
        except (pa.ArrowException, OSError) as error:
            raise SpectrumRejected("file_unreadable", " ".join(str(error).split())[:200]) from error
        return {column: table[column].to_pylist() for column in table.column_names}
    if content.startswith(b"PK\x03\x04") and name.lower().endswith(".npz"):
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return {each: arrays[each] for each in chosen(arrays.files)}
        except ValueError as error:
            detail = "arrays of objects are pickles, which can run any code: save arrays of numbers (spectra, pixels)"
            raise SpectrumRejected("file_unreadable", detail) from error
        except Exception as error:  # a damaged archive: zipfile, zlib and numpy each have their own
            raise SpectrumRejected("file_unreadable", " ".join(str(error).split())[:200]) from error
    head = content[:4096].split(b"\n", 1)[0].lower()
    if b"," in head and b"flux" in head and re.search(rb"[\[(]\s*[-+.\d]|nan", content[len(head) : len(head) + 4096]):
        import pandas as pd

        try:
            names = chosen(pd.read_csv(io.BytesIO(content), dtype=str, nrows=0).columns)
            frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, usecols=names)
        except (ValueError, UnicodeDecodeError) as error:
            raise SpectrumRejected("file_unreadable", " ".join(str(error).split())[:200]) from error
        return {str(column): frame[column].tolist() for column in frame.columns}
    return None


def _is_vector(column: Sequence[Any]) -> bool:
    """Whether the first cell that is there is a vector."""
    if isinstance(column, np.ndarray):
        return column.ndim > 1
    first = next((cell for cell in column if cell not in (None, "")), None)
    return isinstance(first, list) or (isinstance(first, str) and bool(_NUMBERS.match(first.strip())))


def _spectrum(wave: Any, flux: Any, error: Any, mask: Any, **said: bool) -> PlainSpectrum:
    wavelength, value = _vector(wave, "wavelength"), _vector(flux, "flux")
    sigma = None if error is None else _vector(error, "error")
    bits = np.zeros(len(value)) if mask is None else _vector(mask, "mask")
    if len(bits) != len(value):
        raise SpectrumRejected("lengths_differ", f"flux {len(value)}, mask {len(bits)}")
    order = slice(None, None, -1) if len(wavelength) > 1 and wavelength[0] > wavelength[-1] else slice(None)
    found = from_columns(wavelength, value, sigma, said_air=False, **said)
    masked = replace(found.spectrum, mask=np.nan_to_num(bits[order]).astype(np.int64))
    return replace(found, spectrum=masked)


def _vector(cell: Any, what: str) -> np.ndarray:
    """A cell's numbers, NaN for null."""
    if isinstance(cell, str):
        text = cell.strip()
        cell = text[1:-1].replace(",", " ").split() if _NUMBERS.match(text) else None
    if cell is None:
        raise SpectrumRejected("layout_unknown", f"no vector of numbers in the column of {what}")
    try:
        return np.array([np.nan if each is None else each for each in cell], np.float64)
    except (TypeError, ValueError):
        raise SpectrumRejected("layout_unknown", f"the column of {what} holds no numbers") from None
