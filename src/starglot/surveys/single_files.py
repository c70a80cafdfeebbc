"""Spectra that come one a file: reading them row by row, and what a folder of them holds."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from starglot.errors import StarglotError
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected


def read_each(
    rows: pa.Table, root: Path, read: Callable[[Path], RawSpectrum]
) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
    """obsid and spectrum of each row, or why there is none (:class:`starglot.surveys.protocol.ReadSpectra`).

    read: the survey's, of one file.
    """
    for obsid, file in zip(rows["obsid"].to_pylist(), rows["file"].to_pylist(), strict=True):
        try:
            if file is None:
                raise SpectrumRejected("file_missing", "the catalogue row has no file")
            yield obsid, read(root / file)
        except SpectrumRejected as why:
            yield obsid, why


def list_spectra(folder: Path, wanted: Callable[[str], bool]) -> dict[str, tuple[int, int]]:
    """(size, mtime in ns) of the files in a folder whose names are wanted; a folder that is not there has none.

    Raises StarglotError when the folder cannot be listed.
    """
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # A dangling link is a missing file.
                if wanted(entry.name) and not (entry.is_symlink() and not os.path.exists(entry)):
                    status = entry.stat()
                    found[entry.name] = (status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        return {}
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return {}
        raise StarglotError(
            f"a folder of spectra cannot be listed: {error.strerror}",
            where=folder,
            todo="check its permissions and the disk, then run the same command again",
        ) from error
    return found
