"""A shard's finished files, held beside the spectra until all shards are done.

Plates share a submission.  When one is killed, Snakemake removes what all jobs in it had made, those that had
finished, too.  A shard is therefore written to ``spectra/.finished/{shard}/``, and gets its proper names as second
names of the same files (hard links, which take no room); asked for again, it gets them again.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from starglot.sealed import SEAL, fault
from starglot.tables import atomic_path

log = logging.getLogger(__name__)

FINISHED = ".finished"


def place_of(spectra: str | Path, identity: str) -> Path:
    """Where the shard of the output ``spectra/{shard}.parquet`` is made.

    identity: digest of all that the shard depends on, another folder for each.
    """
    spectra = Path(spectra)
    return spectra.parent / FINISHED / spectra.stem / identity[:24]


def new_place(place: Path) -> None:
    """Make ``place`` an empty folder: what a killed job, or other settings, left of the shard is removed."""
    shutil.rmtree(place.parent, ignore_errors=True)
    place.mkdir(parents=True)


def is_finished(place: Path) -> bool:
    """Whether ``place`` holds the whole shard; one that is half made or damaged is logged, and of no use."""
    if not place.is_dir():
        return False
    wrong = fault(place)
    if wrong is not None:
        log.warning("what was cleaned before in %s is of no use (%s); doing it again", place, wrong)
    return wrong is None


def hand_out(place: Path, folder: Path, last: str) -> None:
    """Give the files of a sealed ``place`` their names in ``folder``, the one called ``last`` after all others.

    They count as new, so that they are not older than what they were made from.
    """
    names = (path.name for path in place.iterdir() if path.name != SEAL)
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
