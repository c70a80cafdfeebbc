"""Where a model comes from: a folder, a zip file, or a repository of the Hugging Face hub."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

from starglot.errors import StarglotError
from starglot.hashing import file_digest
from starglot.models.folder import MODEL

#: What a model on the hub is named by: hf:OWNER/NAME, or hf:OWNER/NAME@REVISION.
HUB = "hf:"
ARCHIVE = ".zip"
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)


def folder_of(source: str | Path) -> Path:
    """The folder of the model that ``source`` names.

    A zip file is unpacked, and a repository of the hub fetched, into the user's cache, once.  The hub's token comes
    from the environment variable HF_TOKEN and from nowhere else.
    Raises StarglotError for an archive without a model, and where the hub cannot be reached or has no such model.
    """
    text = str(source)
    if text.startswith(HUB):
        return _fetched(text.removeprefix(HUB))
    if text.endswith(ARCHIVE) and Path(text).is_file():
        return _unpacked(Path(text))
    return Path(text)


def cache() -> Path:
    """Starglot's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "starglot"


def _unpacked(archive: Path) -> Path:
    """The model in ``archive``, unpacked in the cache under the archive's digest."""
    place = cache() / "models" / file_digest(archive)
    if not place.is_dir():
        # Beside its place first: what is there under its own name is whole.
        partial = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(partial)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise StarglotError(
                f"the archive cannot be unpacked: {error}",
                where=archive,
                allowed="a zip file made by `starglot export MODEL NAME.zip`",
                todo="copy it again; if that does not help, see whether there is room in the cache (XDG_CACHE_HOME)",
            ) from error
        try:
            partial.rename(place)
        except OSError:  # another process was faster
            if not place.is_dir():
                raise
    found = [place, *sorted(path for path in place.iterdir() if path.is_dir())]
    for folder in found:
        if (folder / MODEL).is_file():
            return folder
    raise StarglotError(
        f"the archive holds no model: {MODEL} is neither at its top nor in a folder there",
        where=archive,
        todo="make it where the model was trained: starglot export MODEL NAME.zip",
    )


def _fetched(name: str) -> Path:
    """The model of the hub named 'owner/name' or 'owner/name@revision', in the local cache of the hub."""
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    if not _REPOSITORY.fullmatch(repository):
        raise StarglotError(
            f"'{repository}' names no repository of the hub",
            where=f"{HUB}{name}",
            allowed=f"{HUB}OWNER/NAME, or {HUB}OWNER/NAME@REVISION",
            todo="correct the name; a folder or a zip file is named without hf:",
        )
    where, token = f"https://huggingface.co/{repository}", os.environ.get("HF_TOKEN")
    try:
        return Path(snapshot_download(repository, revision=revision or None, token=token or False))
    except hub.GatedRepoError as error:
        raise StarglotError(
            "the model is gated, and " + ("this account may not read it" if token else "HF_TOKEN is not set"),
            where=where,
            allowed="an account that was given access there",
            todo="ask for access on its page, and set HF_TOKEN to a read token of that account",
        ) from error
    except hub.RevisionNotFoundError as error:
        raise StarglotError(
            f"the model has no revision '{revision}'",
            where=where,
            allowed="a commit, a tag or a branch",
            todo=f"look it up on {where}/commits/main, or leave out @{revision}",
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise StarglotError(
            "the hub has no such model, or it is private",
            where=where,
            todo="correct the name, or set HF_TOKEN to a read token of an account that may see it",
        ) from error
    except Exception as error:  # the hub's client lets transport errors of several libraries through
        raise StarglotError(
            f"the model is not in the local cache, and the hub cannot be reached ({type(error).__name__})",
            where=where,
            todo=f"fetch it on a machine with network and without HF_HUB_OFFLINE: hf download {repository}"
            + (f" --revision {revision}" if revision else "")
            + "; or copy the model's folder here and name that",
        ) from error
