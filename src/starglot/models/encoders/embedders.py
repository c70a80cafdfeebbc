"""What makes embeddings of spectra, put into the folder of a model which reads them and answers by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from starglot.models.baselines.files import ENCODER
from starglot.models.bases import read_manifest
from starglot.models.encoders.aligned import save_one_side
from starglot.registry import Registry


def put_embedder(base: Path, view: str | None, folder: Path) -> None:
    """Write ``encoder.safetensors`` into ``folder``; view: of an aligned pair, whose side it is."""
    write = EMBEDDERS.get(read_manifest(base)["kind"])
    if write is None:
        shutil.copyfile(base / ENCODER, folder / ENCODER)
    else:
        write(base, view, folder)


def _one_side(base: Path, view: str | None, folder: Path) -> None:
    save_one_side(base, read_manifest(base)["views"].index(view), folder)


#: Kind of base -> how its embeddings are put within a model's reach, where that is more than to copy its file.
EMBEDDERS: Registry[Callable[[Path, str | None, Path], None]] = Registry({"aligned": _one_side})
