"""DESI spectra as users of SPARCL save them: many in a file, by TARGETID (:mod:`starglot.surveys.spectra_table`)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from starglot.errors import StarglotError
from starglot.formats.file_kind import DAMAGED, opener_of
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.spectra_table import columns_of, spectra_of_rows

#: What tells the target of a row, and whether it is the best of the target's rows.
TARGET, PRIMARY = "targetid", "specprimary"
_ENDING = re.compile(r"\.(parquet|npz|pkl|pickle|csv(\.(gz|bz2|xz))?)$", re.IGNORECASE)


def is_export(name: str) -> bool:
    """Whether a file of DESI spectra is named as such a table, and not as a coadd."""
    return _ENDING.search(name) is not None


def exported(root: Path) -> dict[int, str]:
    """TARGETID -> name of the file that has it, of the tables in ``root`` itself; of several files the first by name.

    Raises StarglotError for a file that cannot be read, or has no such column.
    """
    found: dict[int, str] = {}
    for path in sorted(path for path in root.iterdir() if path.is_file() and is_export(path.name)):
        try:
            targets = _targets(_content(path), path.name)
        except SpectrumRejected as why:
            raise _unusable(path, why.detail) from why
        for target in targets.tolist():
            found.setdefault(target, path.name)
    return found


def read_export(path: Path) -> dict[int, RawSpectrum | SpectrumRejected]:
    """TARGETID -> its spectrum, or why there is none; of several rows the first with `specprimary`, else the first.

    Raises SpectrumRejected: ``file_missing``, ``file_unreadable``, ``layout_unknown``.
    """
    content = _content(path)
    rows = spectra_of_rows(content, path.name)
    if rows is None:
        raise SpectrumRejected("layout_unknown", "no columns wavelength and flux with vectors of numbers")
    targets, best = _targets(content, path.name), _primary(content, path.name, len(rows))
    if len(targets) != len(rows):
        raise SpectrumRejected("layout_unknown", f"{len(rows)} spectra with {len(targets)} TARGETIDs")
    found: dict[int, RawSpectrum | SpectrumRejected] = {}
    for row in [*np.flatnonzero(best), *np.flatnonzero(~best)]:
        _, one = rows[row]
        found.setdefault(int(targets[row]), one if isinstance(one, SpectrumRejected) else one.spectrum)
    return found


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        opener = opener_of(content)
        if opener is None:
            return content
        with opener(path) as unpacked:
            return unpacked.read()
    except FileNotFoundError:
        raise SpectrumRejected("file_missing", "no such file") from None
    except DAMAGED as error:
        raise SpectrumRejected("file_unreadable", " ".join(str(error).split())[:200]) from error


def _targets(content: bytes, name: str) -> np.ndarray:
    """(rows,) int64.  Raises SpectrumRejected where there are none, for pickles as the readers of spectra do."""
    columns = columns_of(content, name, {TARGET}) or {}
    found = next(iter(columns.values()), None)
    if found is None:
        raise SpectrumRejected("layout_unknown", "no column targetid in a table of Parquet, npz or CSV")
    try:
        return np.array([int(each) for each in found], np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise SpectrumRejected("layout_unknown", "targetid is no whole number in some row") from error


def _primary(content: bytes, name: str, n: int) -> np.ndarray:
    columns = columns_of(content, name, {PRIMARY})
    if not columns:
        return np.zeros(n, bool)
    (said,) = columns.values()
    return np.array([str(each).strip().lower() in ("1", "true", "1.0") for each in said], bool)


def _unusable(path: Path, detail: str) -> StarglotError:
    return StarglotError(
        f"this file of spectra cannot be used: {detail}",
        where=path,
        allowed="coadds in folders as a release has them; or tables that SPARCL's records were saved as, with a "
        "column targetid and vectors wavelength, flux, ivar, mask",
        todo="save the records again as Parquet or npz, with targetid among the fields, or take the file away",
    )
