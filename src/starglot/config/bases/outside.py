"""Bases from outside: a Hugging Face id or a folder, and the name of the file that says what is there."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


def is_hub_id(base: str) -> bool:
    """Whether ``base`` names a model on the hub ('owner/name').

    A name whose first part is a folder here is a path, also when the second part is not there yet.
    """
    return _HUB_ID.fullmatch(base) is not None and not Path(base.partition("/")[0]).is_dir()


def base_slug(base: str, revision: str | None) -> str:
    """A file name for a base from outside: 'owner--name', 'owner--name@revision', or a folder's name and a hash.

    It has letters, digits and ``._-@`` only, and no two bases share one.
    """
    if not is_hub_id(base):
        return f"{_plain(Path(base).name)}-{_hash(base)}"
    slug = base.replace("/", "--", 1)
    if revision is None:
        return slug
    plain = _plain(revision)
    return f"{slug}@{plain}" if plain == revision else f"{slug}@{plain}-{_hash(revision)}"


def _plain(text: str) -> str:
    return _PLAIN.sub("-", text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
