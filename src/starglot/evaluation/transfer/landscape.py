"""Loss landscapes: how a network's loss rises about what it has learnt, along two random directions.

As the transfer paper draws them (section 6.3, after Li et al. 2017): theta + x delta + y eta, where delta and eta are
normal, scaled so that the weights of each output neuron move by their own norm.  Only what the strategy has trained
moves: all weights, the residual head, or the two factors of each low-rank update.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from starglot.models.baselines.networks import OF_CLASS, OF_LABELS, Dense
from starglot.models.baselines.residual import Corrected
from starglot.models.baselines.updates import LowRank, load_updates

#: Steps along a direction, and how far they reach in norms of the weights (the paper's).
STEPS, REACH = 21, 3.0

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Trained:
    """What a strategy has trained: weights by name, and what makes of them weights of the network by their names."""

    weights: Weights
    of_network: Callable[[Weights], dict[str, Tensor]]

    @property
    def parameters(self) -> int:
        """Numbers that move: biases and scales stay, as in Li et al."""
        return sum(weight.numel() for weight in self.weights.values() if weight.dim() > 1)


def trained_part(network: nn.Module, strategy: str, folder: Path, label: int) -> Trained:
    """What ``strategy`` has trained of a network that was opened from ``folder``, as far as a label depends on it.

    label: its place among the labels.  The weights of other labels alone, and of the class, stay.
    Raises StarglotError where the updates of LoRA are not there.
    """
    own = {name: weight for name, weight in network.named_parameters() if _decides(name, label)}
    if strategy == "lora":
        updates = {name: each for name, each in load_updates(folder).items() if _decides(name, label)}
        return _of_updates(network, updates)
    if isinstance(network, Corrected):
        own = {name: weight for name, weight in own.items() if name.startswith("correction.")}
    return Trained({name: weight.detach() for name, weight in own.items()}, dict)


def _decides(name: str, label: int) -> bool:
    """Whether a weight can change what the network says of a label."""
    short = name.removeprefix("network.")
    of = next((of for of in OF_LABELS if short.startswith(of)), None)
    if of:
        return short.removeprefix(of).split(".")[0] == str(label)
    return not short.startswith(OF_CLASS)


def _of_updates(network: nn.Module, updates: Mapping[str, LowRank]) -> Trained:
    weights: dict[str, Tensor] = {}
    start: dict[str, Tensor] = {}
    own = dict(network.named_parameters())
    for name, update in updates.items():
        a, b = torch.from_numpy(update.a), torch.from_numpy(update.b)
        weights |= {f"{name}.a": a, f"{name}.b": b}
        whole = own[f"{name}.weight"].detach()
        start[name] = whole - update.scale * (b.flatten(1) @ a.flatten(1)).reshape(whole.shape)

    def of_network(moved: Weights) -> dict[str, Tensor]:
        found = {}
        for name, weight in start.items():
            product = moved[f"{name}.b"].flatten(1) @ moved[f"{name}.a"].flatten(1)
            found[f"{name}.weight"] = weight + updates[name].scale * product.reshape(weight.shape)
        return found

    return Trained(weights, of_network)


def direction(weights: Weights, generator: torch.Generator) -> dict[str, Tensor]:
    """A normal direction in which every row of a weight has the norm of that row; (n,) weights do not move.

    A row is what belongs to one output neuron: of an update's factors, a vector of the rank in a, an output in b.
    """
    found = {}
    for name, weight in weights.items():
        drawn = torch.randn(weight.shape, generator=generator)
        if weight.dim() < 2:
            drawn = torch.zeros_like(weight)
        else:
            rows, norms = drawn.flatten(1), weight.flatten(1).norm(dim=1, keepdim=True)
            drawn = (rows / rows.norm(dim=1, keepdim=True) * norms).reshape(weight.shape)
        found[name] = drawn
    return found


class _Nothing(nn.Module):
    """Zero for every spectrum."""

    def forward(self, features: Tensor) -> Tensor:
        return features.new_zeros(len(features), 1)


def _alone(network: nn.Module, label: int) -> nn.Module:
    """A copy that tells this label alone, where each has layers of its own: the others are not asked 441 times."""
    copied = copy.deepcopy(network)
    inner = copied.network if isinstance(copied, Corrected) else copied
    if isinstance(inner, Dense):
        inner.of_class = _Nothing()  # type: ignore[assignment]
        for place in range(len(inner.of_label)):
            if place != label:
                inner.of_label[place] = _Nothing()
    return copied


def offsets(steps: int = STEPS, reach: float = REACH) -> np.ndarray:
    """(steps,) from -reach to reach."""
    return np.linspace(-reach, reach, steps)


def landscape(
    network: nn.Module,
    trained: Trained,
    features: np.ndarray,
    truth: np.ndarray,
    label: int,
    scale: tuple[float, float],
    subsets: Sequence[np.ndarray],
    seed: int,
    steps: int = STEPS,
) -> np.ndarray:
    """(subsets, steps, steps) mean squared error of a label in its unit's square, x along the last axis.

    features: (n, inputs) in the network's units; truth: (n,), finite; scale: shift and scale of the label; subsets:
    boolean arrays (n,); seed: of the two directions.  One subset without spectra is NaN throughout.
    """
    network = _alone(network, label).eval()
    generator = torch.Generator().manual_seed(seed)
    across, up = direction(trained.weights, generator), direction(trained.weights, generator)
    inputs, known = torch.from_numpy(features), torch.from_numpy(np.asarray(truth, np.float64))
    out = np.full((len(subsets), steps, steps), np.nan)
    with torch.no_grad():
        for row, y in enumerate(offsets(steps)):
            raised = {name: weight + float(y) * up[name] for name, weight in trained.weights.items()}
            for column, x in enumerate(offsets(steps)):
                moved = {name: weight + float(x) * across[name] for name, weight in raised.items()}
                _, values = functional_call(network, trained.of_network(moved), (inputs,))
                square = ((values[:, label].double() * scale[1] + scale[0] - known) ** 2).numpy()
                for place, chosen in enumerate(subsets):
                    if chosen.any():
                        out[place, row, column] = square[chosen].mean()
    return out
