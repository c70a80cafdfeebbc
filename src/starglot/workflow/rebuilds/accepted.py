"""Code edits that a person judged to leave a result as it is: the result keeps the hash of the code that made it.

A record says for one job (a rule's script and wildcards) that code ``given`` counts as code ``kept``.  The workflow
then asks for ``kept`` in place of ``given`` (``code`` in rules/code.smk): nothing runs, finished work in the state
folder is found under the name that it was made with, and any later edit runs as ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starglot.errors import StarglotError
from starglot.hashing import ACCEPTED
from starglot.tables import read_json, write_json

#: Name of the file of records, in the results folder.
RECORDS = "accepted.json"


@dataclass(frozen=True)
class Acceptance:
    """Record that ``target``, made by the code ``kept``, is valid for the code ``given``.

    definitions: what was edited between the two; because: the person's reason; date: ISO, of the decision.
    """

    target: str
    script: str
    wildcards: Mapping[str, str]
    kept: str
    given: str
    definitions: tuple[str, ...]
    because: str
    date: str


def read_accepted(path: str | Path) -> list[Acceptance]:
    """All records in a file, oldest first; none where there is no file."""
    if not Path(path).is_file():
        return []
    try:
        return [_acceptance(row) for row in read_json(path)]
    except (ValueError, TypeError, KeyError) as error:
        raise StarglotError(
            f"the record of accepted code edits cannot be read: {error}",
            where=path,
            todo="mend it, or remove it: then what was accepted in it is made again",
        ) from error


def _acceptance(row: Mapping[str, Any]) -> Acceptance:
    """A record as it is written; older ones say ``modules`` for what was edited."""
    edited = row.get("definitions", row.get("modules"))
    rest = {key: value for key, value in row.items() if key not in ("definitions", "modules")}
    return Acceptance(**rest, definitions=tuple(edited or ()))


def add_accepted(path: str | Path, records: Iterable[Acceptance]) -> None:
    """Append records to a file."""
    write_json([asdict(record) for record in [*read_accepted(path), *records]], path)


def note_in_manifest(record: Acceptance, folder: str | Path) -> None:
    """Write an acceptance into its target, where that is a manifest; ``folder`` is where targets' paths begin.

    The manifest keeps its time: what was made from it is as current as before.
    """
    path = Path(folder) / record.target
    if path.name != "manifest.json" or not path.is_file():
        return
    before, manifest = path.stat(), read_json(path)
    said = {key: value for key, value in asdict(record).items() if key not in ("target", "script", "wildcards")}
    write_json({**manifest, ACCEPTED: [*manifest.get(ACCEPTED, []), said]}, path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def kept_hashes(records: Iterable[Acceptance], script: str, code: str) -> dict[frozenset[tuple[str, str]], str]:
    """Wildcards -> hash that stands for ``code`` of ``script``, for the jobs whose results were accepted."""
    return {
        frozenset(record.wildcards.items()): record.kept
        for record in records
        if record.script == script and record.given == code
    }
