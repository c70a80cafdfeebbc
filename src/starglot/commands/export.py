"""Copy a trained model with all that it stands on, a base in a folder, an ensemble's members, into one new folder.

The copy can be moved, zipped and given away.  A base of the Hugging Face hub is not in it: it has a licence of its
own, and is looked for in the cache of whoever uses the model.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from starglot.config.bases import is_hub_id
from starglot.errors import StarglotError
from starglot.models.bases import MANIFEST, base_files
from starglot.models.folder import BASE, MEMBERS, MODEL, read_description
from starglot.tables import read_json


def run(arguments: Sequence[str]) -> None:
    """Copy the model; say where it is and how large."""
    parser = argparse.ArgumentParser(
        "starglot export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="DIR", help="folder of a trained model")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    given = parser.parse_args(arguments)
    export(Path(given.model), given.out)
    size = sum(path.stat().st_size for path in given.out.rglob("*") if path.is_file())
    print(f"{given.out}: {size / 1e6:.1f} MB, ready to be moved: starglot predict FILE --model {given.out}")


def export(folder: Path, out: Path) -> None:
    """Copy the model in ``folder`` to ``out``, whole or not at all.

    Raises StarglotError when ``out`` is there already, and when the model or what it stands on is not whole.
    """
    if out.exists():
        raise StarglotError("there is something of that name", where=out, todo="name a folder that is not there yet")
    making = out.with_name(f".{out.name}.partial")
    shutil.rmtree(making, ignore_errors=True)
    try:
        _copy(folder, making)
        making.rename(out)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _copy(folder: Path, out: Path) -> None:
    from starglot.inference.places import find_members, find_own_base

    about = read_description(folder)
    out.mkdir(parents=True)
    for name in (MODEL, *about["files"]):
        shutil.copyfile(folder / name, out / name)
    base = about["base"]
    if base and not is_hub_id(base["name"]):
        found = find_own_base(folder, about)
        for name in (*base_files(found), MANIFEST, *(path.name for path in found.glob("LICENSE*"))):
            if (found / name).is_file():
                (out / BASE / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found / name, out / BASE / name)
    members = read_json(folder / MANIFEST).get("members", ())
    for member, place in zip(members, find_members(folder, members), strict=True):
        _copy(place, out / MEMBERS / member)
