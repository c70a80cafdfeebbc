"""A full disk in the middle of a training, said once and clearly, whichever library met it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from starglot.errors import StarglotError

#: Fewer free bytes than this count as a full disk when writing has failed.
_NO_SPACE = 1 << 20


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Turn a full disk (which each library reports in its own way) into a StarglotError; ``folder``: of the work."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        full = "No space left" in str(error) or "quota exceeded" in str(error)
        if not full and shutil.disk_usage(_existing(folder)).free > _NO_SPACE:
            raise
        raise StarglotError(
            "the disk is full (or the quota is used up)",
            where=folder,
            todo="free some space and run the same command again; training continues from its last good checkpoint",
        ) from error


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
