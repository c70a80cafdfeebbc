"""A model's folder: all that an answer needs, in one place that can be copied elsewhere.

`manifest.json` says how the model was trained, `model.json` how it answers: the recipe that cleans a spectrum, the
question, the encoding, the base by digest, the scales of its uncertainties, the digests of the files beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from starglot.errors import StarglotError
from starglot.hashing import file_digest, manifest_digest
from starglot.models.bases import MANIFEST, read_manifest
from starglot.models.domain import DOMAIN
from starglot.tables import read_json, write_json

#: What says how a model answers.
MODEL = "model.json"
#: What tells a person about the model (:mod:`starglot.inference.card`).
CARD = "README.md"
#: Version of its format.  Another number is refused: what is missing in it cannot be made up.
FORMAT = 1
#: Folders within an exported model's: its base, and the members of an ensemble by name.
BASE, MEMBERS = "base", "members"

#: What an answer does not need.
_SPARE = (MODEL, CARD, "run.json", "loss.csv", ".*")
#: What a description has to say.
_KEYS = ("name", "size", "task", "question", "model", "recipe", "survey", "calibration", "files")


def describe_model(
    folder: str | Path,
    about: Mapping[str, Any],
    calibration: list[dict[str, Any]],
    class_calibration: Mapping[str, float],
) -> None:
    """Write ``model.json`` into the folder of a trained model, which holds its manifest, weights and domain.

    about: name, size, task (its name), question (the task), model (settings), recipe, survey, release, encoding (None
    for a model that reads no text); calibration: scales by label and class
    (:func:`starglot.evaluation.calibration.fitted_scales`); class_calibration: of the probability of classes
    (:func:`starglot.evaluation.class_probability.fit_probability`).  Of a description that lacks the latter, an
    older one, the model states no probability.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    files = [name for name in names if not any(fnmatch(name, spare) for spare in _SPARE)]
    write_json(
        {
            "format": FORMAT,
            **about,
            "base": manifest.get("base"),
            "calibration": calibration,
            "class_calibration": dict(class_calibration),
            "versions": manifest.get("versions"),
            "files": {name: _digest(folder / name) for name in files},
        },
        folder / MODEL,
    )


def read_description(folder: str | Path) -> dict[str, Any]:
    """``model.json`` of a folder, once all files that it names are found to be there and as they were.

    Raises StarglotError for a folder that is no model's, whose description is of another format, or whose files have
    changed.
    """
    folder = Path(folder)
    about = _described(folder)
    for name, digest in about["files"].items():
        there = (folder / name).is_file()
        if not there or _digest(folder / name) != digest:
            raise StarglotError(
                f"{name} {'is not the one that the model was described with' if there else 'is missing'}",
                where=folder,
                allowed=f"the files that {MODEL} names by their digests",
                todo="copy the model's folder again, whole; where it was made, run the workflow again",
            )
    return about


def _digest(path: Path) -> str:
    """Of a file; of a manifest without the edits of code that were accepted for it later."""
    return manifest_digest(path) if path.name == MANIFEST else file_digest(path)


def _described(folder: Path) -> dict[str, Any]:
    path = folder / MODEL
    if not path.is_file():
        raise _no_model(folder)
    try:
        about = read_json(path)
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StarglotError(
            f"the model's description cannot be read: {error}",
            where=path,
            todo="copy the model's folder again, whole",
        ) from error
    written = about.get("format") if isinstance(about, dict) else None
    if written != FORMAT:
        by = (about.get("versions") or {}).get("starglot") if isinstance(about, dict) else None
        raise StarglotError(
            f"the model's folder is of format {written}" + (f", written by Starglot {by}" if by else ""),
            where=path,
            allowed=f"format {FORMAT}",
            todo="use it with the version of Starglot that wrote it, or make it again with this one: "
            f"`snakemake --cores all --configfile <its configuration> -- {path}` where it was trained",
        )
    missing = [key for key in _KEYS if key not in about]
    if missing:
        raise StarglotError(
            f"the model's description lacks {', '.join(missing)}",
            where=path,
            todo="copy the model's folder again, whole",
        )
    found: dict[str, Any] = about
    return found


def _no_model(folder: Path) -> StarglotError:
    if folder.is_file():
        what, todo = "a model is a folder, not a file", "unpack it if it is an archive, and name the folder"
    elif not folder.is_dir():
        what, todo = "there is no such folder", "name the folder of a trained model: results/models/TASK/MODEL/SIZE"
        if len(folder.parts) == 2 and not folder.parent.exists():
            todo += f"; a model of the Hugging Face hub: hf:{folder}"
    elif (folder / MANIFEST).is_file():
        what = f"the folder has a trained model, but no {MODEL} that says how it answers"
        todo = f"where it was trained: snakemake --cores all --configfile <its configuration> -- {folder / MODEL}"
    else:
        inside = sorted(str(path.parent.relative_to(folder)) for path in folder.glob(f"*/**/{MODEL}"))[:8]
        what = "the folder is not that of a trained model"
        todo = f"name one of those below it: {', '.join(inside)}" if inside else f"name a folder with a {MODEL}"
    return StarglotError(what, where=folder, allowed=f"a folder with {MODEL}, {MANIFEST} and {DOMAIN}", todo=todo)
