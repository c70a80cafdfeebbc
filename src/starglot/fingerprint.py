"""Digests of large files from outside, read once: again only when a file's size or time has changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from starglot.hashing import file_digest
from starglot.tables import read_json, write_json

log = logging.getLogger(__name__)


class Fingerprints:
    """SHA-256 digests of the user's files, stored with the size and time of the file when it was read.

    Thus several GB of catalogue are read only when they are new, replaced or touched.  Nothing is written until
    :meth:`keep`, so that planning alone changes nothing in the folder.
    """

    def __init__(self, known: str | Path):
        """known: JSON file of the digests; losing it costs a reading."""
        self.known = Path(known)
        self._taken: dict[str, dict[str, object]] = {}
        self._keeps = False

    def of(self, path: str | Path) -> str:
        """Digest of a file, or 'absent'."""
        try:
            now = os.stat(path)
        except OSError:
            return "absent"
        facts = {"size": now.st_size, "mtime_ns": now.st_mtime_ns}
        entry = (self._remembered() | self._taken).get(str(path), {})
        if {key: entry.get(key) for key in facts} == facts:
            return str(entry["sha256"])
        if now.st_size > 2**30:  # long enough to wonder why nothing happens
            log.warning("reading %s once (%.1f GB) to know it again by its content", path, now.st_size / 1e9)
        digest = file_digest(path)
        self._taken[str(path)] = {**facts, "sha256": digest}
        self._write()
        return digest

    def keep(self) -> None:
        """Remember on disk what was taken so far, and from now on."""
        self._keeps = True
        self._write()

    def _write(self) -> None:
        if not (self._keeps and self._taken):
            return
        try:
            write_json(self._remembered() | self._taken, self.known)
        except OSError as error:
            log.warning("digests cannot be remembered in %s: %s", self.known, error)

    def _remembered(self) -> dict[str, dict[str, object]]:
        try:
            found = read_json(self.known)
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {path: entry for path, entry in found.items() if isinstance(entry, dict)}


def memory(state: str | Path) -> Path:
    """The file of digests for work whose finished results are in the folder ``state``.

    All kinds of work share it, so that tens of GB of a base are read once, not by each of them.
    """
    return Path(state).parent / "fingerprints.json"
