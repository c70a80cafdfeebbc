"""Folders of results, before anything is written to them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from starglot.errors import StarglotError


def require_folders(*folders: str | Path) -> None:
    """Raise StarglotError when a folder of results cannot be made: a file has its name, or that of one above."""
    for folder in folders:
        there = _nearest(folder)
        if not there.is_dir():
            raise StarglotError(
                "a folder of results cannot be made: something else has its name",
                where=f"{there}, for {folder}",
                todo="set `results` (and `state`) to another folder, or rename what is there",
            )


def require_writable(*folders: str | Path) -> None:
    """Raise StarglotError unless files can be written to each folder, which need not be there yet."""
    for folder in folders:
        there = _nearest(folder)
        if not os.access(there, os.W_OK | os.X_OK):
            raise StarglotError(
                "a folder cannot be written to",
                where=f"{there}, for {folder}",
                todo="get permission to write there; or set `results` (and `state`) to another folder, and run "
                "`snakemake --snakefile <project>/Snakefile` in a folder of your own, for Snakemake's records",
            )


def make_folders(*folders: str | Path) -> None:
    """Make each folder and a file in it, which is removed again; StarglotError when the disk does not let it.

    Permissions do not tell of everything: a full quota, a share that is mounted anew, a kernel's own folders.
    """
    require_writable(*folders)
    for folder in folders:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise StarglotError(
                f"a folder cannot be written to: {error.strerror or type(error).__name__}",
                where=Path(folder).absolute(),
                todo="free space or get permission to write there, or set `results` (and `state`) to another folder",
            ) from error


def _nearest(folder: str | Path) -> Path:
    """The folder itself, or what is there of the folders above it."""
    path = Path(folder).absolute()
    return next(place for place in (path, *path.parents) if os.path.lexists(place))
