"""Base models: is one there, is it whole, and how to get it (the only code that talks to a model hub).

Fetching happens where there is a network, usually the login node; jobs run offline and load from the local
Hugging Face cache (or from a folder).  Llama-3.1-8B-Instruct (paper 3.2) is gated: its licence must be accepted
once, and the token of that account is read from the environment and never written anywhere.
"""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from starglot.config.bases.outside import is_hub_id
from starglot.errors import StarglotError
from starglot.models.bases import UNWANTED, WANTED, local_folder, missing_files

log = logging.getLogger(__name__)


def fetch_base(base: str, token: str | None = None, revision: str | None = None) -> Path:
    """Make sure that ``base`` is on this machine, downloading it when it is not, and return its folder.

    token: access token of the account that accepted the licence; None uses the one stored by `hf auth login`;
    revision: branch, tag or commit of a Hugging Face id (None: main).  Interrupted downloads continue.
    Raises StarglotError that says what stood in the way.
    """
    folder = local_folder(base) if revision is None else local_folder(base, revision)
    if folder is not None and not missing_files(folder):
        log.info("%s is here: %s", base, folder)
        return folder
    if not is_hub_id(base):
        raise StarglotError(
            "the base model's folder is " + ("not there" if folder is None else "not whole"),
            where=base,
            allowed="a folder with " + ", ".join(missing_files(Path(base).expanduser())),
            todo="put the model there, or name a Hugging Face id in models.<name>.base",
        )
    folder = _download(base, token, revision)
    missing = missing_files(folder)
    if missing:
        raise StarglotError(
            f"{base} was fetched, but its repository lacks {', '.join(missing)}",
            where=folder,
            todo="name a model with safetensors weights and a tokenizer in models.<name>.base",
        )
    return folder


def _download(base: str, token: str | None, revision: str | None) -> Path:
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            base, revision=revision, token=token, allow_patterns=WANTED, ignore_patterns=UNWANTED
        )
        return Path(found)
    except hub.GatedRepoError as error:
        raise StarglotError(
            f"{base} is gated, and this account may not read it" + ("" if token else " (no HF_TOKEN is set)"),
            where=f"https://huggingface.co/{base}",
            todo="accept its licence there, make a read token, and run: HF_TOKEN=... make fetch-base",
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise StarglotError(
            f"there is no model '{base}' on the hub, or it is private and the token does not reach it",
            where="models.<name>.base",
            allowed="a Hugging Face id 'owner/name', a folder, or a name under bases",
            todo="correct the name, or run: HF_TOKEN=... make fetch-base",
        ) from error
    except hub.RevisionNotFoundError as error:
        raise StarglotError(
            f"there is no revision '{revision}' of {base} on the hub",
            where="models.<name>.revision",
            allowed="a commit, a tag or a branch of that model",
            todo=f"look it up on https://huggingface.co/{base}/commits/main, or leave it out for the newest",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StarglotError(
                "the disk is full (or the quota is used up)",
                where=f"the Hugging Face cache, while fetching {base}",
                todo="free some space or set HF_HOME to a larger disk, and run it again: it continues",
            ) from error
        raise _unreachable(base, error) from error
    except Exception as error:  # the hub's client lets transport errors of several libraries through
        raise _unreachable(base, error) from error


def _unreachable(base: str, error: Exception) -> StarglotError:
    return StarglotError(
        f"the hub could not be reached ({type(error).__name__})",
        where=f"https://huggingface.co/{base}",
        todo="run `make fetch-base` on a node with network access and without HF_HUB_OFFLINE; it continues "
        "where it stopped. Or copy the model's folder here and name it in models.<name>.base",
    )
