"""The low-rank updates (LoRA) of a trained network as they were learnt; its weights have them added already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starglot.errors import StarglotError
from starglot.tables import atomic_path

#: The file of updates in a model's folder.
UPDATES = "updates.safetensors"
_DOWN, _UP, _SCALE = ".a", ".b", ".scale"


@dataclass(frozen=True)
class LowRank:
    """What was added to a layer's weight (out, in, ...): scale x b a, a (rank, in, ...), b (out, rank, ...)."""

    a: np.ndarray
    b: np.ndarray
    scale: float


def save_updates(updates: Mapping[str, LowRank], folder: Path) -> None:
    """Write the update of each layer, by the layer's name."""
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {}
    for name, update in sorted(updates.items()):
        tensors |= {name + _DOWN: update.a, name + _UP: update.b, name + _SCALE: np.array([update.scale], np.float32)}
    with atomic_path(Path(folder) / UPDATES) as partial:
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, str(partial))


def load_updates(folder: Path) -> dict[str, LowRank]:
    """The updates of :func:`save_updates`; raises StarglotError where there are none that can be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(folder) / UPDATES
    try:
        tensors = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise StarglotError(
            f"the updates of a network cannot be read: {error}",
            where=path,
            todo="train it again: remove its folder, then snakemake train",
        ) from error
    names = [name.removesuffix(_DOWN) for name in tensors if name.endswith(_DOWN)]
    return {
        name: LowRank(tensors[name + _DOWN], tensors[name + _UP], float(tensors[name + _SCALE][0])) for name in names
    }
