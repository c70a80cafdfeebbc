"""Things chosen by a name of the configuration: kinds of model, questions, labels, surveys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Name -> thing, for things that a job picks by a name it was given.

    Written as a module's variable, with a dict in place: ``KINDS = Registry({"ridge": Ridge, ...})``.  Then the hash
    of a job's code (:mod:`starglot.workflow.provenance.code`) counts only the entries that the job picks: a new
    entry, or an edit of another one, runs nothing again.  Code that a job runs therefore looks entries up by the
    names that the job was given; it does not go through all of them.
    """

    def __init__(self, entries: Mapping[str, T]):
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that are entries, in the order of the entries, each once."""
        wanted = set(names)
        return [name for name in self._entries if name in wanted]
