"""Folders that can be trusted: sealed when whole, checked before use.

A process may be killed in the middle of writing, and a disk may fill up.  So a folder counts only when its seal,
written last, names every file with its size and digest, and all of them agree.
"""

from __future__ import annotations

from pathlib import Path

from starglot.hashing import file_digest
from starglot.tables import read_json, write_json

SEAL = "complete.json"


def seal(folder: Path) -> None:
    """Declare ``folder`` whole: write the list of its files, sizes and digests, atomically."""
    write_json({name: _facts(folder / name) for name in _files(folder)}, folder / SEAL)


def fault(folder: Path) -> str | None:
    """What is wrong with a sealed folder, or None when every file is as it was sealed."""
    try:
        sealed = read_json(folder / SEAL)
    except FileNotFoundError:
        return "not finished writing"
    except (OSError, ValueError):
        return f"{SEAL} is unreadable"
    for name, facts in sealed.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != facts["size"]:
            return f"{name} has {path.stat().st_size} bytes instead of {facts['size']}"
        if file_digest(path) != facts["sha256"]:
            return f"{name} has changed"
    return None


def _files(folder: Path) -> list[str]:
    """Names, relative and sorted, of the files under ``folder``, without the seal."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != SEAL)


def _facts(path: Path) -> dict[str, int | str]:
    return {"size": path.stat().st_size, "sha256": file_digest(path)}
