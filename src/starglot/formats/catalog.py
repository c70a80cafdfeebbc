"""An open survey catalogue: wanted columns by any of their names, whatever their case, and rows in chunks."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from starglot.errors import StarglotError

Kind = Literal["float", "int", "flag", "limit", "text", "id", "gaia", "date", "float_vector", "int_vector"]


@dataclass(frozen=True)
class Column:
    """A wanted column: the project's name, the names it has in files (first found wins), its kind, whether needed.

    limits: of numbers; those outside are refused.  gaia_release: that ids of kind 'gaia' are of.
    """

    name: str
    aliases: tuple[str, ...]
    kind: Kind = "float"
    needed: bool = True
    limits: tuple[float, float] | None = None
    gaia_release: str | None = None


class Catalog:
    """An open catalogue: its column names, and its rows in chunks.

    where: the file, for messages, with the table in it where it has several.
    """

    def __init__(self, path: Path, names: Sequence[str], where: str | None = None):
        self.path, self.names, self.where = path, list(names), where or str(path)
        self._by_lower: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self._by_lower[name.lower()].append(name)

    def find(self, aliases: Sequence[str]) -> str | None:
        """The file's own spelling of the first alias that it has, or None.

        Raises StarglotError if two columns match that alias, since the file does not say which is meant.
        """
        for alias in aliases:
            spellings = self._by_lower.get(alias.lower(), [])
            if len(spellings) > 1:
                raise StarglotError(
                    f"{len(spellings)} columns have the name {alias}: {', '.join(spellings)}",
                    where=self.where,
                    allowed="one column of a name, whatever its case",
                    todo="rename or remove the others in the file",
                )
            if spellings:
                return spellings[0]
        return None

    def resolve(self, columns: Sequence[Column]) -> dict[str, str]:
        """Project name -> name in the file, for every column that is there.

        Raises StarglotError with all the needed columns that are missing, their accepted names, and the columns
        of the file, nearest first.
        """
        found = {column.name: self.find(column.aliases) for column in columns}
        missing = [column for column in columns if column.needed and found[column.name] is None]
        if missing:
            raise missing_columns(self.where, self.names, {c.name: c.aliases for c in missing})
        return {name: actual for name, actual in found.items() if actual is not None}

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        """The named columns (as the file spells them), some rows at a time, in the file's order."""
        raise NotImplementedError

    def element_order(self, symbol: str) -> list[str] | None:
        """Upper-case names in an array column of a one-row table in the same file; None if there is none."""
        return None


def missing_columns(where: object, names: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> StarglotError:
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
        where=where,
        allowed=f"{accepted} (any case); the file has, nearest first: {shown}",
        todo="check that the config names the right catalogue and release, or rename the column in the file",
    )
