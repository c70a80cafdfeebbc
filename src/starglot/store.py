"""Work that is kept: finished and unfinished, by the digest of all that it depends on.

One way for all of it, finished trainings, checkpoints, prediction tables and blocks, cleaned shards and caches: a
folder that is filled under another name, sealed, and only then given its own.  The seal is written last and names
every file with its size and SHA-256; whatever is handed back is compared with it first.  Work that is damaged is
logged and done again.  A process may be killed at any time, a disk fill up or the power fail: the files are on the
disk, not only in memory, before the seal that vouches for them is written.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starglot.hashing import digest_of, file_digest
from starglot.tables import atomic_path, full_disk_said, onto_disk, read_json, write_json

log = logging.getLogger(__name__)

#: The file that says that a folder is whole.
SEAL = "complete.json"
#: Folder of finished work in its place.
FINISHED = "finished"
#: Folder of the checkpoints of unfinished work in its place.
CHECKPOINTS = "checkpoints"
#: Folder in which finished work is put together, in its place.
MADE = "made"
#: Key of the ingredient that is the hash of the code.
CODE = "code"
_PREFIX = "checkpoint-"
_HELD = ".finished"
_HEX = 24  # digits for the ingredients without the code


# ---- places


def workplace(state: str | Path, ingredients: Mapping[str, Any]) -> Path:
    """The folder of one piece of work: named by the digest of all that it depends on, and the hash of its code.

    ingredients: JSON-able; their ``code``, where there is one, stands at the end of the name, so that the same work
    with other code is found beside it (:func:`with_any_code`).
    """
    work = digest_of({key: value for key, value in ingredients.items() if key != CODE})[:_HEX]
    code = ingredients.get(CODE)
    return Path(state) / (f"{work}-{code}" if code else work)


def code_hash_of(place: Path) -> str:
    """The hash of the code at the end of a place's name."""
    return place.name[_HEX:].removeprefix("-")


def with_any_code(place: Path) -> list[Path]:
    """The places of the same work with any code, as far as they are there."""
    return sorted(path for path in place.parent.glob(f"{place.name[:_HEX]}*") if path.is_dir())


def held_place(output: str | Path, ingredients: Mapping[str, Any]) -> Path:
    """The place of work that is held beside its ``output`` until all its kind are done (:func:`drop_held`)."""
    output = Path(output)
    return workplace(output.parent / _HELD / output.stem, ingredients)


def drop_held(folder: str | Path) -> None:
    """Drop what is held beside the outputs in ``folder``: they are on record, and their own names are enough."""
    shutil.rmtree(Path(folder) / _HELD, ignore_errors=True)


# ---- sealing and verifying


def seal(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Declare ``folder`` whole: put its files on the disk, then write the list of them, atomically.

    known: SHA-256 by name of files that were just read or written by this process; they are not read once more.
    """
    facts = {}
    for name in _files(folder):
        path = folder / name
        onto_disk(path)
        facts[name] = {"size": path.stat().st_size, "sha256": (known or {}).get(name) or file_digest(path)}
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        onto_disk(path)
    write_json(facts, folder / SEAL)


def fault(folder: Path) -> str | None:
    """What is wrong with a sealed folder, or None when every file is as it was sealed."""
    try:
        sealed = read_json(folder / SEAL)
        sealed = {str(name): (int(facts["size"]), str(facts["sha256"])) for name, facts in sealed.items()}
    except FileNotFoundError:
        return "not finished writing"
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"{SEAL} is unreadable"
    if not sealed:
        return f"{SEAL} lists nothing"
    # Sizes first: what is cut off is found without reading anything.
    for name, (size, _) in sealed.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
    for name, (_, digest) in sealed.items():
        try:
            changed = file_digest(folder / name) != digest
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"
        if changed:
            return f"{name} has changed"
    return None


def is_whole(folder: Path) -> bool:
    """Whether ``folder`` holds finished work, as it was sealed; what is half made or damaged is logged."""
    if not folder.is_dir():
        return False
    wrong = fault(folder)
    if wrong is not None:
        log.warning("finished work in %s is of no use (%s); doing it again", folder, wrong)
    return wrong is None


def await_whole(folder: Path) -> None:
    """Wait until another process has made ``folder``: a launcher ends all of them when one fails."""
    while fault(folder) is not None:
        time.sleep(1)


# ---- keeping


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; when the block ends well it is sealed, and takes the name ``folder``.

    A full disk becomes a :class:`starglot.errors.StarglotError` that names the folder.
    """
    made = _partial(folder)
    try:
        with full_disk_said(folder):
            made.mkdir(parents=True)
            yield made
            keep(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def keep(made: Path, folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Seal the folder ``made`` (``known`` as in :func:`seal`), and give it the name ``folder``.

    What is damaged there goes away; whole work that another process has kept there meanwhile stays.
    """
    seal(made, known)
    if folder.is_dir() and fault(folder) is None:
        shutil.rmtree(made)
        return
    old = _partial(folder)
    try:
        os.rename(folder, old)
    except FileNotFoundError:
        pass
    try:
        os.rename(made, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(made)  # another process was faster by a moment
    onto_disk(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def new_folder(place: Path) -> Path:
    """An empty folder to put finished work together in, what a killed run left there removed."""
    made = place / MADE
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    return made


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")


# ---- handing back


def copy_out(work: Path, folder: Path, last: str, *, link: bool = False, alone: bool = False) -> None:
    """Put the files of the whole ``work`` into ``folder``, the one called ``last`` after all others.

    They count as new, so that they are not older than what they were made from.  link: as second names of the same
    files, which takes no room; alone: what else is in the folder is removed.
    """
    names = sorted(name for name in read_json(work / SEAL) if name != last)
    (folder / last).unlink(missing_ok=True)
    for old in folder.glob("*") if alone else ():
        if old.is_file() and old.name not in names:
            old.unlink()
    for name in (*names, last):
        with atomic_path(folder / name) as partial:
            if not (link and _linked(work / name, partial)):
                shutil.copyfile(work / name, partial)
        os.utime(folder / name)


def _linked(file: Path, name: Path) -> bool:
    """Give a file a second name; False on a file system without hard links."""
    try:
        os.link(file, name)
    except OSError:
        return False
    return True


# ---- checkpoints


def newest_good(root: Path) -> Path | None:
    """The newest good checkpoint under ``root``; broken ones are logged and removed on the way to it.

    None when there is none to continue from.
    """
    for folder in reversed(checkpoints(root)):
        wrong = fault(folder)
        if wrong is None:
            return folder
        log.warning("checkpoint %s is of no use (%s); falling back to the one before", folder.name, wrong)
        shutil.rmtree(folder)
    return None


def step_reached(place: Path) -> int | None:
    """The step of the newest good checkpoint of the work in ``place``, None where there is none; removes nothing."""
    for folder in reversed(checkpoints(place / CHECKPOINTS)):
        if fault(folder) is None:
            return _step(folder)
    return None


def prune(root: Path, keep: int = 2) -> None:
    """Remove all but the ``keep`` newest checkpoints: the last, and one to fall back to."""
    for folder in checkpoints(root)[:-keep]:
        shutil.rmtree(folder)


def checkpoints(root: Path) -> list[Path]:
    """Checkpoint folders under ``root``, oldest first by their step."""
    found = [path for path in root.glob(f"{_PREFIX}*") if path.is_dir() and path.name[len(_PREFIX) :].isdigit()]
    return sorted(found, key=_step)


def _step(folder: Path) -> int:
    return int(folder.name[len(_PREFIX) :])


def _files(folder: Path) -> list[str]:
    """Names, relative and sorted, of the files under ``folder``, without the seal."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != SEAL)
