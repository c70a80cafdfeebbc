"""An open survey catalogue: its columns by any of their names, whatever their case, and its rows in chunks."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starglot.errors import StarglotError

if TYPE_CHECKING:
    from starglot.surveys.columns import Column


class Catalog:
    """An open catalogue: its column names, and its rows in chunks."""

    def __init__(self, path: Path, names: Sequence[str]):
        self.path, self.names = path, list(names)
        self._by_lower = {name.lower(): name for name in reversed(self.names)}

    def find(self, aliases: Sequence[str]) -> str | None:
        """The file's own spelling of the first alias that it has, or None."""
        for alias in aliases:
            if alias.lower() in self._by_lower:
                return self._by_lower[alias.lower()]
        return None

    def resolve(self, columns: Sequence[Column]) -> dict[str, str]:
        """Project name -> name in the file, for every column that is there.

        Raises StarglotError with all the needed columns that are missing, their accepted names, and the columns
        of the file, nearest first.
        """
        found = {column.name: self.find(column.aliases) for column in columns}
        missing = [column for column in columns if column.needed and found[column.name] is None]
        if missing:
            raise missing_columns(self.path, self.names, {c.name: c.aliases for c in missing})
        return {name: actual for name, actual in found.items() if actual is not None}

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        """The named columns (as the file spells them), CHUNK_ROWS rows at a time, in the file's order."""
        raise NotImplementedError


def missing_columns(path: Path, names: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> StarglotError:
    """The error for needed columns (project name -> accepted names) that a catalogue with ``names`` does not have."""
    accepted = "; ".join(f"{name}: {' or '.join(aliases)}" for name, aliases in wanted.items())
    aliases = [alias.lower() for options in wanted.values() for alias in options]

    def nearness(name: str) -> float:
        return max(difflib.SequenceMatcher(None, name.lower(), alias).ratio() for alias in aliases)

    near = sorted(names, key=lambda name: (-nearness(name), name))
    shown = ", ".join(near[:15]) + (f" and {len(near) - 15} more" if len(near) > 15 else "")
    plural = "s" if len(wanted) > 1 else ""
    return StarglotError(
        f"the catalogue lacks the needed column{plural} {', '.join(wanted)}",
        where=path,
        allowed=f"{accepted} (any case); the file has, nearest first: {shown}",
        todo="check that the config names the right catalogue and release, or rename the column in the file",
    )
