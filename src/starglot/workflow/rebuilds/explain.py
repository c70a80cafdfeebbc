"""Why a job runs, in sentences: which setting, which definition, which input, or which job before it."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starglot.tables import read_json, write_json
from starglot.workflow.provenance.code import SCRIPT

_CODE = re.compile(r"'[0-9a-f]{16}'")
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Longest value that a sentence quotes in full.
_QUOTED = 60
#: Most files that a sentence names.
_NAMED = 3


@dataclass(frozen=True)
class Job:
    """A job that would run, with what was recorded when it last ran and what holds now.

    rule, wildcards, target (its first output), script; forced; missing: outputs that are not there; before, now:
    reprs of its params then (None: never recorded) and by name now; command: whether the shell command was edited;
    added, removed: inputs that it has and had; changed: inputs whose content is another; after: jobs that run before
    it and make inputs of it; definitions: those of its code -> hash now.
    """

    rule: str
    wildcards: Mapping[str, str]
    target: str
    script: str
    forced: bool = False
    missing: Sequence[str] = ()
    before: Sequence[str] | None = None
    now: Mapping[str, str] = field(default_factory=dict)
    command: bool = False
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Sequence[str] = ()
    after: Sequence[str] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The rule and its wildcards."""
        return " ".join([self.rule, *self.wildcards.values()])

    def code_change(self) -> tuple[str, str] | None:
        """(hash then, hash now) of the code, when they differ."""
        gone = [value for value in self._gone() if _CODE.fullmatch(value)]
        come = [value for value in self._come().values() if _CODE.fullmatch(value)]
        return (gone[0].strip("'"), come[0].strip("'")) if gone and come else None

    def expected_code(self) -> str:
        """Hash of the code that it is asked for with; empty where it has none."""
        found = [value for value in self.now.values() if _CODE.fullmatch(value)]
        return found[0].strip("'") if found else ""

    def only_code(self) -> bool:
        """Whether an edit of the code is all that is different, jobs before it left aside."""
        others = self.forced or self.missing or self.command or self.added or self.removed or self.changed
        return not others and self.code_change() is not None and len(self._gone()) == len(self._come()) == 1

    def _gone(self) -> list[str]:
        return sorted(set(self.before or ()) - set(self.now.values()))

    def _come(self) -> dict[str, str]:
        known = set(self.before or ())
        return {name: value for name, value in self.now.items() if value not in known}


def causes(job: Job, code_folder: Path) -> list[str]:
    """What is different for this job itself, and which jobs before it make its inputs anew; a sentence part each.

    code_folder: of :func:`record_code`.
    """
    found = []
    if job.forced:
        found.append("it was asked for by force")
    if job.missing:
        found.append(f"{_files(job.missing)} {'is' if len(job.missing) == 1 else 'are'} not there")
    elif job.before is None:
        found.append("nothing is recorded of how its output was made, and an input is newer")
    found += _params(job, code_folder) if job.before is not None else []
    if job.command:
        found.append("the rule's shell command was edited")
    if job.added:
        found.append(f"it has a further input: {_files(job.added)}")
    if job.removed:
        found.append(f"it has lost an input: {_files(job.removed)}")
    if job.changed:
        found.append(f"other content in {_files(job.changed)}")
    if job.after:
        found.append(f"its input is made anew by {_files(job.after)}")
    return found


def _params(job: Job, code_folder: Path) -> list[str]:
    gone, come = job._gone(), job._come()
    found = []
    change = job.code_change()
    if change:
        found.append(f"code: {edited(code_folder, change[0], job.definitions)}")
    gone = [value for value in gone if not _CODE.fullmatch(value)]
    for name, value in come.items():
        if _CODE.fullmatch(value):
            continue
        match = next((old for old in gone if _like(old) == _like(value)), None)
        if match is None:
            found.append(f"{name} is new: {_short(value)}")
            continue
        gone.remove(match)
        found += _change(name, match, value)
    found += [f"a parameter is gone: {_short(value)}" for value in gone]
    return found


def _change(name: str, old: str, new: str) -> list[str]:
    before, after = _settings(old), _settings(new)
    if before is not None and after is not None:
        return [f"setting {change}" for change in leaf_changes(before, after)]
    if _DIGEST.search(old) or _DIGEST.search(new):
        return ["a file from outside has other content"]
    return [f"{name}: {_short(old)} -> {_short(new)}"]


def leaf_changes(before: Any, after: Any) -> list[str]:
    """``a.b: 1 -> 2`` for every leaf that differs between two JSON-able values."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    found = []
    for key in sorted({*old, *new}):
        if key not in old:
            found.append(f"{key} is new: {_short(json.dumps(new[key]))}")
        elif key not in new:
            found.append(f"{key} is gone (was {_short(json.dumps(old[key]))})")
        elif old[key] != new[key]:
            found.append(f"{key}: {_short(json.dumps(old[key]))} -> {_short(json.dumps(new[key]))}")
    return found


def _leaves(value: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def record_code(folder: Path, code: str, definitions: Mapping[str, str]) -> None:
    """Keep which definitions, with which hashes, a code hash stands for."""
    path = folder / f"{code}.json"
    if not path.is_file():
        write_json(definitions, path)


def edited_definitions(folder: Path, before: str, definitions: Mapping[str, str]) -> list[str] | None:
    """Names of the definitions that differ from those behind the hash ``before``; None where that is unknown."""
    try:
        old = read_json(folder / f"{before}.json")
    except (OSError, ValueError):
        return None
    return sorted(name for name in {*old, *definitions} if old.get(name) != definitions.get(name))


def edited(folder: Path, before: str, definitions: Mapping[str, str]) -> str:
    """Which definitions were edited since the code with the hash ``before``, as words."""
    names = edited_definitions(folder, before, definitions)
    if names is None:
        return f"edited (which definitions: not on record for {before})"
    return f"{', '.join('its script' if name == SCRIPT else name for name in names)} edited"


def report(jobs: Sequence[Job], code_folder: Path) -> str:
    """All jobs, those with the same causes together, in the order in which they would run."""
    groups: dict[tuple[str, tuple[str, ...]], list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.rule, tuple(_shape(cause, job) for cause in causes(job, code_folder))].append(job)
    lines = []
    for (rule, _), members in groups.items():
        first = members[0]
        lines.append(
            first.name if len(members) == 1 else f"{rule}: {len(members)} jobs, the first of them {first.name}"
        )
        lines += [f"    {cause}" for cause in causes(first, code_folder)]
    return "\n".join(lines)


def _shape(cause: str, job: Job) -> str:
    """A cause without this job's own names, so that jobs with the same cause stand together."""
    for key, value in job.wildcards.items():
        cause = cause.replace(value, f"{{{key}}}")
    return cause


def _settings(text: str) -> Any:
    """The settings in the repr of a param, or None when it holds no JSON object."""
    if not text.startswith(("'{", '"{')):
        return None
    try:
        return json.loads(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return None


def _like(text: str) -> str:
    """What kind of param a repr is: settings go with settings, digests with digests."""
    if text.startswith(("'{", '"{')):
        return "settings"
    return "digests" if _DIGEST.search(text) or text == "[]" else "other"


def _short(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."


def _files(paths: Sequence[str]) -> str:
    named = ", ".join(sorted(paths)[:_NAMED])
    return named if len(paths) <= _NAMED else f"{named} and {len(paths) - _NAMED} more"
