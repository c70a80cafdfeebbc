"""Copy a trained model with all that it stands on, a base in a folder, an ensemble's members, into one new folder.

The copy can be moved and given away: OUT ending in .zip makes one file.  Its README.md is a model card, with the
residuals of test spectra where the model stands among the results of its run.  A base of the Hugging Face hub is not
in it: it has a licence of its own, and is looked for in the cache of whoever uses the model.

To put it on the hub: hf upload OWNER/NAME OUT
"""

from __future__ import annotations

import argparse
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from starglot.config.bases.outside import is_hub_id
from starglot.config.queries import HELD_OUT
from starglot.errors import StarglotError
from starglot.models.bases import MANIFEST, base_files
from starglot.models.folder import BASE, MEMBERS, MODEL, read_description
from starglot.surveys.registry import CATALOGS
from starglot.tables import read_json

#: Ending of OUT that makes one file.
ARCHIVE = ".zip"
#: Sets of predictions that a card shows, of those that are there: test spectra, then what other surveys say.
_SETS = ("test", "common", HELD_OUT, *CATALOGS)
#: Of every file in an archive, so that the same model gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("model", metavar="MODEL", help="folder of a trained model")
    made.add_argument("out", type=Path, metavar="OUT", help="folder to make, or a file that ends in .zip")
    made.add_argument(
        "--licence", metavar="NAME", help="licence of the model, as the hub spells it: cc-by-4.0, mit, llama3.1"
    )
    return made


def run(arguments: Sequence[str]) -> None:
    """Copy the model; say where it is and how large."""
    given = parser().parse_args(arguments)
    export(Path(given.model), given.out, given.licence)
    files = [path for path in (given.out, *given.out.rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"{given.out}: {size / 1e6:.1f} MB, ready to be moved: starglot predict FILE --model {given.out}")


def export(folder: Path, out: Path, licence: str | None = None) -> None:
    """Copy the model in ``folder`` to ``out``, a folder or a zip file, whole or not at all, with a model card.

    licence: named by the card; None: the card says that none was stated.
    Raises StarglotError when ``out`` is there already, and when the model or what it stands on is not whole.
    """
    from starglot.inference.card import write_card

    if out.exists():
        raise StarglotError("there is something of that name", where=out, todo="name one that is not there yet")
    making = out.with_name(f".{out.name}.partial")
    _remove(making)
    try:
        _copy(folder, making)
        write_card(making, read_description(making), _predictions(folder), licence)
        if out.suffix == ARCHIVE:
            _pack(making, out)
        else:
            making.rename(out)
    finally:
        _remove(making)


def _remove(making: Path) -> None:
    shutil.rmtree(making, ignore_errors=True)
    making.with_suffix(ARCHIVE).unlink(missing_ok=True)


def _pack(folder: Path, out: Path) -> None:
    partial = folder.with_suffix(ARCHIVE)
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(Path(out.stem) / path.relative_to(folder)), _DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    partial.rename(out)


def _predictions(folder: Path) -> dict[str, Path]:
    """Set -> calibrated predictions of a model that stands in the results of its run, models/TASK/MODEL/SIZE."""
    folder = folder.absolute()
    task, model, size = folder.parts[-3:]
    place = folder.parents[3] / "predictions" / task / model / size if len(folder.parts) > 4 else folder
    found = {name: place / f"{name}.parquet" for name in _SETS}
    return {name: path for name, path in found.items() if path.is_file()}


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
