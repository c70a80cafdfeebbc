"""A network's first weights, from one that was trained before: at another task, of the same kind and shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from starglot.errors import StarglotError
from starglot.models.baselines.files import load_any
from starglot.models.baselines.networks import OF_CLASS, OF_LABELS
from starglot.models.baselines.reading import NETWORK, Scales


def start_from(folder: Path, kind: str, network: nn.Module, labels: Sequence[str], scales: Scales) -> Scales:
    """Load what ``network`` has in common with the trained one in ``folder``; returns the scales to train it with.

    What belongs to a label is taken where both have that label, and else stays as it is; so does the layer that tells
    the group, where their tasks have other numbers of groups.  All other weights are taken.
    So are the scales that they were trained with: of the inputs, and of labels that both have.

    Raises StarglotError when the trained network is of another kind or shape, and when nothing but the class is
    common to both.
    """
    tensors, about = load_any(folder)
    given = {name.removeprefix(NETWORK): value for name, value in tensors.items() if name.startswith(NETWORK)}
    theirs: list[str] = about["labels"]
    if about["kind"] != kind:
        raise StarglotError(
            f"the model to start from is of kind {about['kind']}", where=folder, allowed=kind, todo="see `init`"
        )
    own = network.state_dict()
    source = {name: _source(name, labels, theirs) for name in own}
    wanted = {
        name: old
        for name, old in source.items()
        if old is not None and not _other_groups(name, own[name], given.get(old))
    }
    _check_shapes(
        folder, {name: own[name] for name in wanted}, {name: given.get(old) for name, old in wanted.items()}
    )
    left = [name for name in given if name not in wanted.values() and not name.startswith((*OF_LABELS, *OF_CLASS))]
    if left:
        raise StarglotError(
            f"the network to start from has weights that this one has not, '{left[0]}' for one",
            where=folder,
            todo="give both models the same layers, or leave out `init`",
        )
    if all(name.startswith(OF_CLASS) for name in wanted):
        raise StarglotError(
            "the network to start from has nothing in common with this one but the class: it has no label of its",
            where=folder,
            allowed=f"a task with one of {', '.join(labels)}",
            todo="start from another task, or leave out `init`",
        )
    taken = {name: torch.from_numpy(given[old]).reshape(own[name].shape) for name, old in wanted.items()}
    network.load_state_dict({**own, **taken})
    shift, scale = scales.label_shift.copy(), scales.label_scale.copy()
    for j, label in enumerate(labels):
        if label in theirs and np.isfinite(tensors["label_scale"][theirs.index(label)]):
            at = theirs.index(label)
            shift[j], scale[j] = tensors["label_shift"][at], tensors["label_scale"][at]
    return replace(
        scales,
        input_shift=tensors["input_shift"],
        input_scale=tensors["input_scale"],
        label_shift=shift,
        label_scale=scale,
    )


def _source(name: str, labels: Sequence[str], theirs: Sequence[str]) -> str | None:
    """The trained network's name of a weight; None for that of a label which it has not learnt."""
    start = next((start for start in OF_LABELS if name.startswith(start)), None)
    if start is None:
        return name
    number, _, rest = name.removeprefix(start).partition(".")
    label = labels[int(number)]
    return f"{start}{theirs.index(label)}.{rest}" if label in theirs else None


def _other_groups(name: str, own: Tensor, given: np.ndarray | None) -> bool:
    """Whether a weight belongs to the group output, and the trained network had a different number of groups."""
    if given is None or not name.startswith(OF_CLASS):
        return False
    shape = _shape(own)
    return shape[0] != given.shape[0] and shape[1:] == given.shape[1:]


def _shape(own: Tensor) -> tuple[int, ...]:
    return tuple(own.shape) or (1,)  # a file has one number as a list of one


def _check_shapes(folder: Path, own: dict[str, Tensor], given: dict[str, np.ndarray | None]) -> None:
    for name, tensor in own.items():
        other, shape = given[name], _shape(tensor)
        if other is None or other.shape != shape:
            found = "not there" if other is None else "x".join(map(str, other.shape))
            raise StarglotError(
                f"the network to start from has another shape: '{name}' is {found}, not {'x'.join(map(str, shape))}",
                where=folder,
                todo="give both models the same layers, bin and preparation, or leave out `init`",
            )
