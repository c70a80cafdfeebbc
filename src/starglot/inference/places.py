"""Where the rest of a model is: its base, and an ensemble's members, in its folder or in the results around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starglot.config.bases.outside import is_hub_id
from starglot.errors import StarglotError
from starglot.inference.sources import cache
from starglot.models.bases import check_base, describe, local_folder
from starglot.models.folder import BASE, MEMBERS, MODEL, read_description

_EXPORT = "copy models with what they stand on, where they were made: starglot export MODEL_FOLDER NEW_FOLDER"


def find_own_base(folder: Path, about: Mapping[str, Any]) -> Path:
    """The base that the model in ``folder`` was trained on, known by the digests of its files.

    Looked for in the model's folder, among the results that the folder stands in, where it was at the training, and,
    for one of the hub, in the local cache.  about: the model's description.
    Raises StarglotError when it is nowhere, or when what is there is another one.
    """
    said = about["base"]
    if not isinstance(said, Mapping):
        raise StarglotError(
            "the model does not say which base it was trained on", where=folder / MODEL, todo="train it again"
        )
    folder = folder.absolute()
    places = [str(folder / BASE), str(_results(folder) / "bases" / Path(said["name"]).name), said["name"]]
    other: StarglotError | None = None
    for place in dict.fromkeys(places):
        revision = said["revision"] if is_hub_id(place) else None
        if (found := local_folder(place, revision)) is None:
            continue
        try:
            check_base({"base": said}, describe(place, _memory(), revision), folder)
            return found
        except StarglotError as error:
            other = error
    fetch = f"fetch it, on a machine with network: starglot fetch --model {folder}"
    raise other or StarglotError(
        "the base that the model was trained on is not here",
        where=folder,
        allowed=f"{said['name']}, digest {said['digest'][:12]}, in one of: {', '.join(dict.fromkeys(places))}",
        todo=fetch if is_hub_id(said["name"]) else _EXPORT,
    )


def find_members(folder: Path, members: Sequence[str]) -> list[Path]:
    """The folders of an ensemble's members.  Raises StarglotError when one is not there."""
    found, folder = [], folder.absolute()
    for member in members:
        places = [folder / MEMBERS / member, folder.parents[1] / member / folder.name]
        place = next((place for place in places if (place / MODEL).is_file()), None)
        if place is None:
            raise StarglotError(
                f"the member '{member}' of the ensemble is not here, or has no {MODEL}",
                where=folder,
                allowed=" or ".join(str(place) for place in places),
                todo=_EXPORT,
            )
        found.append(place)
    return found


def opened_folders(folder: Path) -> list[Path]:
    """The folders that an answer is made from: the model's, then those of an ensemble's members.

    Raises StarglotError for one that is not there, or not as it was described.
    """
    members = read_description(folder)["model"].get("members", [])
    return [folder, *(inner for place in find_members(folder, members) for inner in opened_folders(place))]


def _results(folder: Path) -> Path:
    """The results that a model's folder, models/TASK/MODEL/SIZE, stands in; itself where there is no such tree."""
    above = folder.parents
    return above[3] if len(above) > 3 else folder


def _memory() -> Path:
    """Where the digests of bases are remembered: of the user, since a model may lie where nothing can be written."""
    return cache() / "fingerprints.json"
