"""The contents of a base: which files it is loaded from, where they are, and whether an adapter belongs to them.

Nothing here uses the network: a Hugging Face id is looked up in the local cache.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from starglot.config.bases.outside import is_hub_id
from starglot.errors import StarglotError
from starglot.fingerprint import Fingerprints
from starglot.hashing import digest_of, file_digest, manifest_digest
from starglot.tables import read_json

MANIFEST = "manifest.json"
#: What a folder of saved adapter weights holds.
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")

#: What a model needs to be loaded; the second copy of the weights that some repositories carry is left alone.
WANTED = ["*.json", "*.safetensors", "tokenizer.model", "*.jinja", "LICENSE*", "USE_POLICY*"]
UNWANTED = ["original/*", "onnx/*", "*.pth"]

#: Files beside the weights that decide what a model or its tokenizer does.
_DECISIVE = (
    "config.json",
    "generation_config.json",
    *ADAPTER_FILES,
    "tokenizer*",
    "*.model",
    "*.tiktoken",
    "vocab.*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "*chat_template*",
)
#: Weights in the order in which they are looked for: the first that is there is loaded.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
#: Kinds of base whose manifest names more than their own files: what they were taught on, or a projector.
_TAUGHT_HERE = ("tiny", "masked_patches")
_FETCH = "make fetch-base   (on a machine with network access; jobs themselves run offline)"


def local_folder(base: str, revision: str | None = None) -> Path | None:
    """Folder of ``base``: itself when it is one, its snapshot in the local cache, or None.

    revision: branch, tag or commit of a Hugging Face id; None: 'main', as last fetched.
    """
    if not is_hub_id(base):
        folder = Path(base).expanduser()
        return folder if folder.is_dir() else None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            base, revision=revision, local_files_only=True, allow_patterns=WANTED, ignore_patterns=UNWANTED
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, FileNotFoundError):
        return None
    return Path(found)


def find_base(base: str | Path, revision: str | None = None) -> Path:
    """The folder of a base model: itself, or its snapshot in the local Hugging Face cache.

    Raises StarglotError when there is neither.
    """
    folder = local_folder(str(base), revision)
    if folder is not None and (folder / "config.json").is_file():
        return folder
    fetched = is_hub_id(str(base))
    raise StarglotError(
        "there is no base model" if revision is None else f"there is no revision {revision} of the base model",
        where=base,
        allowed="a folder with config.json, weights and tokenizer, or a Hugging Face id that has been fetched",
        todo=_FETCH if fetched else "put the model there, or name a Hugging Face id and run `make fetch-base`",
    )


def missing_files(folder: Path) -> list[str]:
    """Names of the files without which the model in ``folder`` cannot be loaded ([] when it is whole)."""
    missing = [name for name in ("config.json",) if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        missing.append("tokenizer.json")
    weights = _weights(folder) or ["model.safetensors"]
    return missing + [name for name in weights if not (folder / name).is_file()]


def base_files(folder: Path) -> list[str]:
    """Names, relative and sorted, of the files that decide what the model in ``folder`` does."""
    there = (name for name in os.listdir(folder) if (folder / name).is_file())
    decisive = [name for name in there if any(fnmatch(name, pattern) for pattern in _DECISIVE)]
    templates = (str(path.relative_to(folder)) for path in folder.glob("additional_chat_templates/*.jinja"))
    return sorted({*decisive, *_weights(folder), *templates})


def _weights(folder: Path) -> list[str]:
    first = next((name for name in _WEIGHTS if (folder / name).is_file()), None)
    if first is None:
        return []
    return [first, *sorted(set(read_json(folder / first)["weight_map"].values()))] if "index" in first else [first]


def describe(base: str | Path, known: str | Path, revision: str | None = None) -> dict[str, Any]:
    """Which base this is: its name, the commit of a Hugging Face id, its files' digests, and a digest of them all.

    known: memory of digests, see :class:`starglot.fingerprint.Fingerprints`: large files are read when they are new
    or touched.  A base that was built here, and is as it was built, is known by its manifest.
    Raises StarglotError when it is not there.
    """
    folder = find_base(base, revision)
    taken = Fingerprints(known)
    taken.keep()
    files = {name: taken.of(folder / name) for name in base_files(folder)}
    return {
        "name": str(base),
        "revision": folder.name if is_hub_id(str(base)) else None,
        "digest": manifest_digest(folder / MANIFEST) if _as_built(folder, files) else digest_of(files),
        "files": files,
    }


def _as_built(folder: Path, files: Mapping[str, str]) -> bool:
    """Whether a folder is a base that was taught here, with the files that its manifest names."""
    manifest = read_manifest(folder)
    made = manifest.get("files", {}) if manifest.get("kind") in _TAUGHT_HERE else {}
    return bool(made) and all(made.get(name) == digest for name, digest in files.items())


def same_files(folder: Path) -> str:
    """Digest of the names, sizes and times of a base's files: cheap to know, and another when one was replaced."""
    return digest_of(list(_facts(folder)))


def _facts(folder: Path) -> Iterator[tuple[str, int, int]]:
    for name in base_files(folder):
        if (folder / name).is_file():
            facts = os.stat(folder / name)
            yield name, facts.st_size, facts.st_mtime_ns


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """A folder's manifest; empty where there is none that can be read."""
    try:
        found = read_json(Path(folder) / MANIFEST)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_model(folder: str | Path) -> dict[str, Any]:
    """The manifest of a trained model, once its adapter and tokenizer are found to be those that it names.

    A folder without a manifest has an empty one.  Raises StarglotError when a file has changed or is gone.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for name, digest in manifest.get("files", {}).items():
        if not any(fnmatch(name, pattern) for pattern in _DECISIVE):
            continue
        there = (folder / name).is_file()
        if not there or file_digest(folder / name) != digest:
            raise StarglotError(
                f"{name} {'is not the one that was trained' if there else 'is missing'}",
                where=folder,
                allowed="the files that its manifest.json names by their digests",
                todo=f"put it back, or remove {folder / MANIFEST} and run the workflow again: the model is then "
                "handed back from the state folder, or trained",
            )
    return manifest


def check_file(folder: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """Raise StarglotError unless a file in ``folder`` is the one that its model's manifest names by its digest.

    One that the manifest does not name is accepted.  Raises OSError where it cannot be read.
    """
    named = manifest.get("files", {}).get(name)
    if named is not None and file_digest(folder / name) != named:
        raise StarglotError(
            f"{name} is not the one that was trained",
            where=folder / name,
            allowed=f"the file that its {MANIFEST} names by its digest",
            todo="put it back, or train the model again: snakemake train",
        )


def check_base(trained: Mapping[str, Any], base: Mapping[str, Any], folder: str | Path) -> None:
    """Raise StarglotError unless the adapter in ``folder`` was trained on ``base``.

    trained: its manifest (one that does not record its base is accepted); base: as of :func:`describe`.
    """
    said = trained.get("base")
    if not isinstance(said, Mapping) or said["digest"] == base["digest"]:
        return
    names = sorted({*said["files"], *base["files"]})
    differ = [name for name in names if said["files"].get(name) != base["files"].get(name)]
    revision = f" (revision {said['revision']})" if said["revision"] else ""
    raise StarglotError(
        f"the adapter was trained on another base than {base['name']} is now: {', '.join(differ) or 'built anew'}",
        where=folder,
        allowed=f"the base that it was trained on: {said['name']}{revision}, digest {said['digest'][:12]}",
        todo="put that base back (a Hugging Face id: name its revision in models.<name>.revision), or train on this "
        "one: snakemake train",
    )
