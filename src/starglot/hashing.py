"""Stable hashes: the same on every machine, in every order, for every subset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

#: Key of a manifest under which stand the code edits that were accepted for it (starglot.workflow.rebuilds.accepted).
ACCEPTED = "accepted_edits"
#: Key of a manifest under which stands how the code was edited during the training (starglot.training.begun).
BEGUN_WITH = "begun_with"


def stable_hash(values: Iterable[object], salt: str) -> np.ndarray:
    """uint64 hash of each value's text under ``salt`` (BLAKE2b, 8 bytes).

    It decides splits, folds, samples and shards of questions, so it depends on the
    value and the salt alone: never on order, neighbours, platform or Python's hash seed.
    """
    key = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    digests = b"".join(hashlib.blake2b(str(v).encode(), digest_size=8, key=key).digest() for v in values)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def unit_interval(hashes: np.ndarray) -> np.ndarray:
    """Map uint64 hashes to float64 in [0, 1)."""
    # The 53 bits that a float64 holds exactly: more would be rounded, the largest up to 1.
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest_of(value: object) -> str:
    """SHA-256 of a JSON-able value in canonical form, as hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_digest(path: str | Path) -> str:
    """Digest of what a manifest says of the work: edits of the code that did not touch it are left out."""
    manifest = json.loads(Path(path).read_text(encoding="utf-8"))
    return digest_of({key: value for key, value in manifest.items() if key not in (ACCEPTED, BEGUN_WITH)})
