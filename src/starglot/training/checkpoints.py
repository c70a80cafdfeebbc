"""Checkpoints: sealed when whole (starglot.sealed), the newest good one first."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from starglot.sealed import fault

log = logging.getLogger(__name__)

_PREFIX = "checkpoint-"


def newest_good(root: Path) -> Path | None:
    """The newest good checkpoint under ``root``; broken ones are logged and removed on the way to it.

    None when there is none to continue from.
    """
    for folder in reversed(checkpoints(root)):
        wrong = fault(folder)
        if wrong is None:
            return folder
        log.warning("checkpoint %s is of no use (%s); falling back to the one before", folder.name, wrong)
        shutil.rmtree(folder)
    return None


def prune(root: Path, keep: int = 2) -> None:
    """Remove all but the ``keep`` newest checkpoints: the last, and one to fall back to."""
    for folder in checkpoints(root)[:-keep]:
        shutil.rmtree(folder)


def checkpoints(root: Path) -> list[Path]:
    """Checkpoint folders under ``root``, oldest first by their step."""
    found = [path for path in root.glob(f"{_PREFIX}*") if path.is_dir() and path.name[len(_PREFIX) :].isdigit()]
    return sorted(found, key=lambda path: int(path.name[len(_PREFIX) :]))
