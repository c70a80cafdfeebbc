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
from starglot.models.baselines.reading import NETWORK, RESIDUAL, Scales

#: What stands for the features among the shapes that have to agree.
_INPUTS = "input_shift"


def start_from(
    folder: Path, kind: str, network: nn.Module, labels: Sequence[str], scales: Scales
) -> tuple[Scales, list[str]]:
    """Load what ``network`` has in common with the trained one in ``folder``.

    Returns the scales to train it with, and the names of the weights that the trained one has not learnt.

    What belongs to a label is taken where both have that label, and else stays as it is; so does the layer that tells
    the group, where their tasks have other numbers of groups.  All other weights are taken.
    So are the scales that they were trained with: of the inputs, and of labels that both have.

    Raises StarglotError when the trained network is of another kind or shape or is itself corrected by another one,
    and when nothing but the class is common to both.
    """
    tensors, about = load_any(folder)
    given = {name.removeprefix(NETWORK): value for name, value in tensors.items() if name.startswith(NETWORK)}
    theirs: list[str] = about["labels"]
    if about["kind"] != kind:
        raise StarglotError(
            f"the model to start from is of kind {about['kind']}", where=folder, allowed=kind, todo="see `init`"
        )
    if RESIDUAL in about:
        raise StarglotError(
            "the model to start from is a network with a residual head, of which there is one at most",
            where=folder,
            allowed="the network that it started from, or one with transfer: full or lora",
            todo="see `init`",
        )
    own = network.state_dict()
    source = {name: _source(name, labels, theirs) for name in own}
    wanted = {
        name: old
        for name, old in source.items()
        if old is not None and not _other_groups(name, own[name], given.get(old))
    }
    needed = {name: own[name] for name in wanted} | {_INPUTS: torch.from_numpy(scales.input_shift)}
    _check_shapes(
        folder, needed, {name: given.get(old) for name, old in wanted.items()} | {_INPUTS: tensors["input_shift"]}
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
    theirs_too = replace(
        scales,
        input_shift=tensors["input_shift"],
        input_scale=tensors["input_scale"],
        label_shift=shift,
        label_scale=scale,
    )
    never = [label for at, label in enumerate(theirs) if not np.isfinite(tensors["label_scale"][at])]
    return theirs_too, [name for name in own if name not in wanted or _label_of(name, labels) in never]


def _source(name: str, labels: Sequence[str], theirs: Sequence[str]) -> str | None:
    """The trained network's name of a weight; None for that of a label which it has not learnt."""
    label = _label_of(name, labels)
    if label is None:
        return name
    of = next(of for of in OF_LABELS if name.startswith(of))
    rest = name.removeprefix(of).partition(".")[2]
    return f"{of}{theirs.index(label)}.{rest}" if label in theirs else None


def _label_of(name: str, labels: Sequence[str]) -> str | None:
    """The label that a weight belongs to alone, None for a weight of all."""
    of = next((of for of in OF_LABELS if name.startswith(of)), None)
    return labels[int(name.removeprefix(of).partition(".")[0])] if of else None


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
