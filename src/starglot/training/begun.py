"""A training continues with the code that it began with, or stops with an error; it never restarts silently.

An edit of the code, a ``git pull`` for instance, makes a training count as another one; hours of work would be lost
to a changed line.  So a training records what it begins with: the hash of its code, the definitions behind
that, and the code itself, half a megabyte.  Asked for with other code before it is finished,

* it goes on in a process that runs the code it began with, when the same run of snakemake asks: a job that comes back
  from Slurm's queue, or is tried again;
* it goes on with the code asked for, when a person has accepted that as equivalent (`starglot accept`);
* it stops otherwise, and says what was edited and what can be done.

The manifest says what happened.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from starglot.errors import StarglotError
from starglot.hashing import file_digest
from starglot.store import CODE, FINISHED, code_hash_of, is_whole, making, step_reached, with_any_code, workplace
from starglot.tables import atomic_path, read_json, write_json
from starglot.workflow.provenance.code import PACKAGE, code_definitions

log = logging.getLogger(__name__)

#: Environment variable by which the jobs of one run of snakemake know it (rules/setup.smk).
RUN = "STARGLOT_RUN"
#: Environment variable of a process that runs the code that its training began with.
_AS_BEGUN = "STARGLOT_AS_BEGUN"
_RECORD, _SNAPSHOT, _EXTRACTED = "begun.json", "code.zip", "code"
#: Where scripts stand in a project, and in a snapshot of its code.
_SCRIPTS = Path("workflow/scripts")
#: Most definitions that a message names.
_NAMED = 8
#: Stands for the definitions of a training whose record is lost, and is none of those that are here.
_UNKNOWN = "unknown definitions"


@dataclass(frozen=True)
class Begun:
    """A training that has begun in ``place``, and what it noted then and since."""

    place: Path
    record: Mapping[str, Any]

    @property
    def code(self) -> str:
        """Hash of the code that it began with."""
        return str(self.record.get("code", ""))

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What happened since, when other code was asked for."""
        return list(self.record.get("notes", []))

    def makes(self, target: Path) -> bool:
        """Whether it is to make the file ``target``."""
        return bool(self.record.get("target") == str(target))

    def is_unfinished(self) -> bool:
        """Whether it has not come to its end yet."""
        return not (self.place / FINISHED).is_dir()

    def is_work_of(self, ingredients: Mapping[str, Any]) -> bool:
        """Whether it is the work of these ingredients, code left aside.

        Other code may count more or fewer ingredients; those that both count have to agree.
        """
        if self.place in with_any_code(workplace(self.place.parent, ingredients)):
            return True
        mine, other = dict(self.record.get("ingredients", {})), _plain(ingredients)
        return bool(mine) and all(mine[key] == other[key] for key in mine.keys() & other.keys() - {CODE})

    def is_of_this_run(self) -> bool:
        """Whether the run of snakemake that this job belongs to is the last one that worked on it."""
        run = os.environ.get(RUN)
        return bool(run) and self.record.get("run") == run

    def began_with(self, here: Mapping[str, str]) -> bool:
        """Whether the code that is ``here`` is what it began with."""
        return not self.edited(here)

    def accepted(self, here: Mapping[str, str]) -> bool:
        """Whether the code that is ``here`` was accepted as equivalent."""
        return any(not _others(definitions, here) for definitions in self.record.get("accepted", []))

    def edited(self, here: Mapping[str, str]) -> list[str]:
        """Names of the definitions that it began with and that are others ``here``.

        What a definition reaches newly, it names newly: then it is another one itself.
        """
        return _others(self.record.get("definitions", {}), here)

    def noted(self, **facts: Any) -> Begun:
        """The same with more on record."""
        record = {**self.record, **facts}
        if record != self.record:
            write_json(record, self.place / _RECORD)
        return Begun(self.place, record)

    def snapshot_is_whole(self) -> bool:
        """Whether the code that it began with is there, as it was kept."""
        snapshot = self.place / _SNAPSHOT
        return snapshot.is_file() and file_digest(snapshot) == self.record.get("snapshot")


def definitions_of(script: Path) -> dict[str, str]:
    """The code that a script runs: hash of each definition."""
    return code_definitions(script)


def new_run() -> str:
    """A name for a run of snakemake, for its jobs to know it by."""
    return secrets.token_hex(8)


def place_to_work(
    place: Path, ingredients: Mapping[str, Any], script: Path | None, target: Path, chief: bool
) -> Path:
    """Where to do the work of ``place``: where it has begun, or there, and then it begins now.

    ingredients: by which the place is named; script: of the workflow, that runs (None: called from Python, nothing is
    noted or compared); target: the manifest that is made; chief: whether this process writes; of several, one does.
    Where the code that the work began with has to go on with it, this does not return: the process becomes another.
    Raises StarglotError when the work has begun with other code, and nothing in the module's words applies.
    """
    if script is None:
        return place
    here = definitions_of(script)
    unfinished = [begun for begun in _by_age(place.parent.glob(f"*/{_RECORD}")) if begun.is_unfinished()]
    every = [begun for begun in unfinished if begun.is_work_of(ingredients)]
    mine = [begun for begun in every if begun.began_with(here)] or [it for it in every if it.accepted(here)]
    if mine:
        return _go_on_here(max(mine, key=lambda begun: begun.place == place), chief)
    # Within a run neither settings nor code change, whatever is edited meanwhile.
    own = [begun for begun in unfinished if begun.is_of_this_run() and begun.makes(target)]
    own = own or [begun for begun in every if begun.record.get("as_begun")]
    for begun in reversed(own if _AS_BEGUN not in os.environ else []):
        if step_reached(begun.place) is not None and begun.snapshot_is_whole():
            _go_on_as_begun(begun, here, requested=code_hash_of(place), chief=chief)
    for begun in reversed(every):
        step = step_reached(begun.place)
        if step is not None:
            raise _edited_meanwhile(begun, step, begun.edited(here))
    if chief:
        _begin(place, ingredients, script, target, here)
    return place


def note_length(place: Path, steps: int, unit: str) -> None:
    """Note how long the training in ``place`` is, for messages; nothing where nothing was noted before."""
    begun = _read(place)
    if begun is not None:
        begun.noted(length=[steps, unit])


def what_happened(place: Path) -> list[dict[str, Any]]:
    """For the manifest: the code then and asked for since, the definitions edited between, the date, the way on."""
    begun = _read(place)
    return [] if begun is None else [{"code": begun.code, **note} for note in begun.notes]


def forget(place: Path) -> None:
    """Drop what was noted of a training that is finished."""
    for name in (_RECORD, _SNAPSHOT):
        (place / name).unlink(missing_ok=True)
    shutil.rmtree(place / _EXTRACTED, ignore_errors=True)


# ---- decisions of a person


def begun_for(state: Path, target: str) -> list[Begun]:
    """Trainings that have begun to make ``target``, have a checkpoint and are not finished; the latest last.

    state: the project's state folder, with a folder in it for each kind of training.
    """
    found = [begun for begun in _by_age(state.glob(f"*/*/{_RECORD}")) if begun.makes(Path(target))]
    return [begun for begun in found if begun.is_unfinished() and step_reached(begun.place) is not None]


def accept(begun: Begun, code: str, here: Mapping[str, str], reached: Collection[str], because: str) -> None:
    """Accept other code as equivalent, so that the training continues with it.

    code: its hash; here: of :func:`definitions_of`; reached: names of those that the job's code is made of now.
    """
    note = _note(code, begun.edited(here), "the code asked for, accepted as equivalent", because)
    names = {*begun.record.get("definitions", {}), *reached}
    accepted = {name: own for name, own in here.items() if name in names}
    begun.noted(notes=[*begun.notes, note], accepted=[*begun.record.get("accepted", []), accepted])


def finish_as_begun(begun: Begun) -> None:
    """Let any run go on with it in the code that it began with."""
    begun.noted(as_begun=True)


# ---- beginning


def _begin(place: Path, ingredients: Mapping[str, Any], script: Path, target: Path, here: Mapping[str, str]) -> None:
    """Note what the training begins with; the record is written last."""
    snapshot, planned = place / _SNAPSHOT, _planned(place, here)
    edited = _others(planned, here)
    if edited:
        log.warning("the code is not what was asked for, others are: %s", named(edited))
    with atomic_path(snapshot) as partial:
        _pack(script, partial)
    record = {
        "code": code_hash_of(place),
        "definitions": {name: here.get(name, "") for name in planned},
        "snapshot": file_digest(snapshot),
        "ingredients": _plain(ingredients),
        "script": script.name,
        "arguments": sys.argv[1:],
        "target": str(target),
        "run": os.environ.get(RUN),
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": _commit(script.parent),
    }
    write_json(record, place / _RECORD)


def _pack(script: Path, file: Path) -> None:
    """Write a zip archive of the package, with the files that it carries, and of the script that runs."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for path in sorted((PACKAGE.root / PACKAGE.name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                packed.write(path, Path("src") / path.relative_to(PACKAGE.root))
        packed.write(script, _SCRIPTS / script.name)


def _planned(place: Path, here: Mapping[str, str]) -> Mapping[str, str]:
    """The definitions that the hash asked for stands for, as the workflow recorded them; else all that are here."""
    return _recorded(place) or here


def _recorded(place: Path) -> Mapping[str, str]:
    """What the workflow recorded of the hash in a place's name; nothing where it did not."""
    try:
        found = read_json(place.parent.parent / "code" / f"{code_hash_of(place)}.json")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _commit(folder: Path) -> str | None:
    """The commit that is checked out around ``folder``, with '-dirty' where files differ from it."""
    requested = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(requested, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


# ---- going on


def _go_on_here(begun: Begun, chief: bool) -> Path:
    """Go on in this process; from now on the training is this run's."""
    if chief and os.environ.get(RUN):
        begun.noted(run=os.environ[RUN])
    return begun.place


def _go_on_as_begun(begun: Begun, here: Mapping[str, str], requested: str, chief: bool) -> NoReturn:
    """Replace this process by one that runs the code that the training began with."""
    edited = begun.edited(here)
    if chief:
        log.info(
            "edited since this training began: %s; going on with the definitions that it began with",
            named(edited) if edited else "its settings or inputs",
        )
        note = _note(requested, edited, "the code that it began with", None)
        same = [old for old in begun.notes if {**old, "date": ""} == {**note, "date": ""}]
        begun.noted(notes=begun.notes if same else [*begun.notes, note], run=os.environ.get(RUN))
    folder = begun.place / _EXTRACTED
    if not (folder.is_dir() and is_whole(folder)):
        with making(folder) as made, zipfile.ZipFile(begun.place / _SNAPSHOT) as packed:
            packed.extractall(made)
    python_path = [str((folder / "src").absolute()), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(python_path), _AS_BEGUN: str(begun.place)}
    command = [sys.executable, str(folder / _SCRIPTS / begun.record["script"]), *begun.record["arguments"]]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command, env)


def _edited_meanwhile(begun: Begun, step: int, edited: Sequence[str]) -> StarglotError:
    steps, unit = begun.record.get("length") or ("?", "steps")
    manifest, place = begun.record.get("target"), begun.place
    ways = [
        "choose, with your --configfile at the end of the command:",
        "the edit changes no result: accept it, and the training goes on from there:",
        f"  starglot accept --because '...' {manifest}",
        "finish it with the code that it began with:",
        f"  starglot accept --as-begun {manifest}",
        f"begin anew: rm -r {place}",
    ]
    return StarglotError(
        f"this training began with other code, on {begun.record.get('date', 'an unknown day')}, and has come to"
        f" {step} of {steps} {unit}; edited since: {named(edited)}",
        where=place,
        todo="\n           ".join(ways),
    )


def named(definitions: Sequence[str]) -> str:
    """The first definitions by name, and how many more."""
    more = len(definitions) - _NAMED
    return ", ".join(definitions[:_NAMED] or ["not on record"]) + (f" and {more} more" if more > 0 else "")


def _others(definitions: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Names of definitions that are others ``here``, or are not."""
    return sorted(name for name, own in definitions.items() if here.get(name) != own)


def _note(requested: str, edited: Sequence[str], way: str, because: str | None) -> dict[str, Any]:
    today = datetime.date.today().isoformat()
    return {"asked": requested, "definitions": list(edited), "date": today, "went_on_with": way, "because": because}


# ---- records


def _by_age(records: Iterable[Path]) -> list[Begun]:
    """What has begun, the latest last."""
    found = [begun for path in records if (begun := _read(path.parent)) is not None]
    return sorted(found, key=lambda begun: str(begun.record.get("date", "")))


def _plain(ingredients: Mapping[str, Any]) -> dict[str, Any]:
    """Ingredients as JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(ingredients, default=str))
    return plain


def _read(place: Path) -> Begun | None:
    """What was noted in a place; None where nothing was, and what its name says where it cannot be read any more."""
    path = place / _RECORD
    if not path.is_file():
        return None
    try:
        record = read_json(path)
        if isinstance(record, dict):
            return Begun(place, record)
    except (OSError, ValueError):
        pass
    log.warning("%s is unreadable: the training is taken to have begun with the code that its folder names", path)
    return Begun(place, {"code": code_hash_of(place), "definitions": _recorded(place) or {_UNKNOWN: ""}})
