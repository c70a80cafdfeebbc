"""A shard's finished files, held beside the spectra until all shards are done.

Plates share a submission.  When one is killed, Snakemake removes what all jobs in it had made, those that had
finished, too.  A shard is therefore written to ``spectra/.finished/{shard}/`` and gets its proper names as second
names of the same files (hard links, which take no room); asked for again, it gets them again.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from starglot.hashing import file_digest
from starglot.tables import atomic_path, read_json, write_json

log = logging.getLogger(__name__)

FINISHED = ".finished"
_RECORD = "finished.json"


def place_of(spectra: str | Path) -> Path:
    """The folder in which the shard of the output ``spectra/{shard}.parquet`` is made."""
    spectra = Path(spectra)
    return spectra.parent / FINISHED / spectra.stem


def new_place(place: Path) -> None:
    """Make ``place`` an empty folder: what a killed job, or other settings, left there is removed."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)


def declare_finished(place: Path, identity: str) -> None:
    """Put on record that the files in ``place`` are whole; ``identity`` is the digest of all that they depend on."""
    files = {path.name: file_digest(path) for path in sorted(place.iterdir())}
    write_json({"identity": identity, "files": files}, place / _RECORD)


def is_finished(place: Path, identity: str) -> bool:
    """Whether ``place`` holds the whole files of this ``identity``; damaged ones are logged, and of no use."""
    try:
        record = read_json(place / _RECORD)
        if record["identity"] != identity:
            return False
        changed = [name for name, digest in record["files"].items() if file_digest(place / name) != digest]
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError) as error:
        changed = [str(error)]
    if changed:
        log.warning("what was finished in %s is of no use (%s); doing it again", place, ", ".join(changed))
    return not changed


def hand_out(place: Path, folder: Path, last: str) -> None:
    """Give the files in ``place`` their names in ``folder``, the one called ``last`` after all others.

    They count as new, so that they are not older than what they were made from.
    """
    names = (path.name for path in place.iterdir() if path.name != _RECORD)
    for name in sorted(names, key=lambda name: (name == last, name)):
        (folder / name).unlink(missing_ok=True)
        with atomic_path(folder / name) as partial:
            _second_name(place / name, partial)
        os.utime(folder / name)


def drop_finished(folder: Path) -> None:
    """All shards are done and on record: their names in ``folder`` are enough."""
    shutil.rmtree(folder / FINISHED, ignore_errors=True)


def _second_name(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, name)
