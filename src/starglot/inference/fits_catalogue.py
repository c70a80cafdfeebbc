"""A catalogue as a FITS table, written row by row: units, UCDs and descriptions of its columns as TOPCAT reads them.

TUNITn is of the FITS standard; TUCDn and TCOMMn (UCD, description) are what STIL, TOPCAT and VOTable converters take.
The number of rows and the widths of texts have to be known before the first row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from astropy.io.fits import Header

#: Bytes of a FITS record.
_RECORD = 2880
#: Arrow type -> TFORM, numpy's type.
_FORMS = {
    pa.int64(): ("K", ">i8"),
    pa.int32(): ("J", ">i4"),
    pa.int16(): ("I", ">i2"),
    pa.float64(): ("D", ">f8"),
}


class FitsCatalogue:
    """A file with one table, that rows are added to."""

    def __init__(self, path: Path, schema: pa.Schema, rows: int, widths: Mapping[str, int], about: Mapping[str, Any]):
        """schema: with unit, ucd and description in the metadata of its fields; widths: of text columns, bytes."""
        from astropy.io import fits

        self._types = np.dtype([(field.name, _number_type(field, widths)) for field in schema])
        self._file = path.open("wb")
        self._file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        self._file.write(_header(schema, self._types, rows, about).tostring().encode("ascii"))
        self._bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Add rows at the end; null is NaN, an empty text, or the column's TNULL."""
        out = np.empty(len(rows), self._types)
        for field in rows.schema:
            column = rows[field.name]
            if pa.types.is_string(field.type):
                out[field.name] = fits_text(column)
            elif pa.types.is_integer(field.type):
                out[field.name] = column.fill_null(_null(field.type)).to_numpy()
            else:
                out[field.name] = column.to_numpy(zero_copy_only=False)
        self._file.write(out.tobytes())
        self._bytes += out.nbytes

    def close(self) -> None:
        """Fill the last record."""
        self._file.write(b"\0" * (-self._bytes % _RECORD))
        self._file.close()


def fits_text(column: pa.ChunkedArray) -> np.ndarray:
    """Texts as FITS holds them, '' for null: printable ASCII, other characters written as escapes."""
    texts = [
        (text or "").encode("unicode_escape" if not (text or "").isprintable() else "ascii", "backslashreplace")
        for text in column.to_pylist()
    ]
    return np.array(texts or [b""], dtype=bytes)[: len(texts)]


def _number_type(field: pa.Field, widths: Mapping[str, int]) -> str:
    return f"S{widths[field.name]}" if pa.types.is_string(field.type) else _FORMS[field.type][1]


def _null(kind: pa.DataType) -> int:
    """TNULL of a column of integers: the least number that it can hold."""
    return -int(2 ** (kind.bit_width - 1))


def _header(schema: pa.Schema, types: np.dtype, rows: int, about: Mapping[str, Any]) -> Header:
    from astropy.io.fits import Header

    header = Header()
    header["XTENSION"] = ("BINTABLE", "binary table")
    header["BITPIX"], header["NAXIS"] = 8, 2
    header["NAXIS1"] = (types.itemsize, "bytes of a row")
    header["NAXIS2"] = (rows, "rows")
    header["PCOUNT"], header["GCOUNT"], header["TFIELDS"] = 0, 1, len(schema)
    for number, field in enumerate(schema, start=1):
        said = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        width = types[field.name].itemsize
        header[f"TTYPE{number}"] = field.name
        header[f"TFORM{number}"] = f"{width}A" if pa.types.is_string(field.type) else _FORMS[field.type][0]
        if pa.types.is_integer(field.type) and field.nullable:
            header[f"TNULL{number}"] = _null(field.type)
        for key, card in (("unit", "TUNIT"), ("ucd", "TUCD"), ("description", "TCOMM")):
            if key in said:
                header[f"{card}{number}"] = said[key]
    header["EXTNAME"] = "CATALOGUE"
    for card, value, comment in _cards(about):
        header[card] = (_ascii(value) if isinstance(value, str) else value, comment)
    for sentence in _sentences(about):
        header["COMMENT"] = _ascii(sentence)
    return header


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _cards(about: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """What the header says in keywords."""
    trained, grid = about["trained_on"], about["recipe"]["wavelength"]
    return [
        ("CREATOR", f"Starglot {about['starglot']}", "software that wrote this file"),
        ("CATFORM", about["format"], "version of columns and header"),
        ("MODEL", about["model"], "model that answered"),
        ("MODTASK", about["task"], "what it was asked"),
        ("MODSIZE", about["size"], "sample that it was trained on"),
        ("MODKIND", about["kind"], "kind of model"),
        ("MODSHA", about["model_sha256"], ""),
        ("TRSURVEY", trained["survey"], "survey of the training spectra"),
        ("TRRELEAS", trained["release"], "its release"),
        ("TRNSPEC", trained["spectra"], "training spectra"),
        ("SURVEY", about["survey"], "survey of the spectra here"),
        ("RELEASE", about["release"], "its release"),
        ("WAVEMIN", grid["start"], "grid that spectra were cleaned to (Angstrom)"),
        ("WAVEMAX", grid["stop"], "its end (Angstrom)"),
        ("NANSWER", about["answered"], "rows with an answer"),
        *(
            (f"FLAG{one['bit']}", one["flag"], f"bit {one['bit']} of flags: {1 << one['bit']}")
            for one in about["flags"]
        ),
        *((f"NFLAG{one['bit']}", about["flagged"][one["flag"]], "rows with it") for one in about["flags"]),
    ]


def _sentences(about: Mapping[str, Any]) -> list[str]:
    """What the header says in lines of comment."""
    lines = [f"{one['flag']}: {one['meaning']}" for one in about["flags"]]
    lines.append("MODSHA is the SHA-256 of the model's model.json, which names its files by theirs.")
    lines.append("Sigma is scale x sqrt(sigma_raw^2 + floor^2), fitted on validation spectra:")
    lines += [
        f"{one['label'] or 'other labels'}, {'class ' + one['class'] if one['class'] else 'all classes'}: "
        f"scale {one['scale']:.6g}, floor {one['floor']:.6g}, N = {one['n']}"
        for one in about["calibration"]
    ]
    if (fitted := about["class_calibration"]) and fitted["n"]:
        lines.append("The log-odds of a class are slope x those that the model states + intercept, fitted as well:")
        lines.append(f"slope {fitted['slope']:.6g}, intercept {fitted['intercept']:.6g}, N = {fitted['n']}")
    for key, what in (("recipe", "cleaning"), ("training_versions", "versions at the training"), ("base", "base")):
        lines.append(f"{what}: {json.dumps(about[key], sort_keys=True)}")
    return lines
