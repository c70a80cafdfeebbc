"""Digests of large files from outside, read once: again only when a file's size or time has changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from starglot.hashing import file_digest
from starglot.tables import read_json, write_json

log = logging.getLogger(__name__)


def fingerprint(path: str | Path, known: str | Path) -> str:
    """SHA-256 of a file of the user's, or 'absent'.

    known: JSON file that remembers digests with the size and time that they were taken at, so that several GB of
    catalogue are read when they are new, replaced or touched, and by no other command.  Losing it costs a reading.
    """
    try:
        now = os.stat(path)
    except OSError:
        return "absent"
    facts = {"size": now.st_size, "mtime_ns": now.st_mtime_ns}
    remembered = _remembered(Path(known))
    entry = remembered.get(str(path), {})
    if {key: entry.get(key) for key in facts} == facts:
        return str(entry["sha256"])
    if now.st_size > 2**30:
        log.warning("reading %s once (%.1f GB) to know it again by its content", path, now.st_size / 1e9)
    digest = file_digest(path)
    try:
        write_json({**remembered, str(path): {**facts, "sha256": digest}}, known)
    except OSError as error:
        log.warning("the digest of %s cannot be remembered: %s", path, error)
    return digest


def memory(state: str | Path) -> Path:
    """Where digests are remembered for work that keeps what it has finished in the folder ``state``.

    All kinds of work remember together, beside their folders: tens of GB of a base are read once, not by each.
    """
    return Path(state).parent / "fingerprints.json"


def _remembered(known: Path) -> dict[str, dict[str, object]]:
    try:
        found = read_json(known)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
