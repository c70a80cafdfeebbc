"""A baseline's numbers as safetensors, and what they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.tables import atomic_path

#: The file of weights in a model's folder.
WEIGHTS = "baseline.safetensors"
#: The file of an encoder, in a base's folder and in that of each model that reads its embeddings.
ENCODER = "encoder.safetensors"


def save(weights: dict[str, np.ndarray], kind: str, task: Task, folder: Path, **about: Any) -> None:
    """Write tensors, with the kind of model, its labels and other JSON-able data that belong to them."""
    from safetensors.numpy import save_file

    with atomic_path(Path(folder) / WEIGHTS) as partial:
        save_file(
            {name: np.ascontiguousarray(weights[name]) for name in sorted(weights)},
            str(partial),
            metadata={"starglot": json.dumps({"kind": kind, "labels": task.labels, **about}, sort_keys=True)},
        )


def load(folder: Path, kind: str, task: Task) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of :func:`save`, and what was said about them.

    Raises StarglotError when they cannot be read, or are of another kind or for other labels.
    """
    weights, about = load_any(folder)
    if (about["kind"], about["labels"]) != (kind, list(task.labels)):
        raise StarglotError(
            f"these weights are of a {about['kind']} model for {', '.join(about['labels'])}",
            where=Path(folder) / WEIGHTS,
            allowed=f"{kind} for {', '.join(task.labels)}",
            todo="train it again: snakemake train",
        )
    return weights, about


def load_any(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """:func:`load` of whatever kind and labels; raises StarglotError when the file cannot be read."""
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / WEIGHTS
    try:
        with safe_open(str(path), framework="numpy") as handle:
            about = json.loads(handle.metadata()["starglot"])
            weights = {name: handle.get_tensor(name) for name in sorted(handle.keys())}
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise StarglotError(
            f"the baseline's weights cannot be read: {error}", where=path, todo="train it first: snakemake train"
        ) from error
    return weights, about
