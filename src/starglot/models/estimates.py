"""Tokens that say what small networks make of a spectrum: an estimate of each label, written as numbers are.

The networks read the spectrum's coordinates along its principal directions, and an estimate is their mean.  They are
taught first, by themselves, in seconds (:mod:`starglot.training.estimates`), and stay as they are while the language
model learns to read their tokens beside the patches.  Answers remain the language model's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

#: Harmonics in which an estimate is written, and the exponent with which they fade: as the tiny base's number tokens.
_HARMONICS, _FADE = 12, 0.7
#: First size of a token: of what the estimate says, and of whose it is.
_WRITTEN, _PLACE = 2.0, 0.5


class Estimates(nn.Module):
    """Tokens (n, labels, hidden) of inputs (n, inputs): one a label.

    An estimate v, a fraction of the label's range, enters the token as a trained linear map, the same for all labels,
    of v and of the sines and cosines of pi k v: what is next to it in value is next to it in the token, and
    the base has nothing to unfold.
    """

    middle: Tensor
    scatter: Tensor
    order: Tensor

    def __init__(self, inputs: int, width: int, labels: int, hidden: int, networks: int = 1):
        """inputs: numbers that a network may read; width: of its two hidden layers; networks: how many."""
        super().__init__()
        made = (make_network(inputs, width, labels) for _ in range(networks))
        self.networks = nn.ModuleList(made).requires_grad_(False)
        self.register_buffer("middle", torch.zeros(labels))
        self.register_buffer("scatter", torch.ones(labels))
        self.register_buffer("order", torch.arange(1, _HARMONICS + 1).float(), persistent=False)
        features = 1 + 2 * _HARMONICS
        self.written = nn.Parameter(torch.randn(features, hidden) * _WRITTEN / math.sqrt(features))
        self.place = nn.Parameter(torch.randn(labels, hidden) * _PLACE)

    @torch.no_grad()
    def learnt(self, taught: Sequence[nn.Sequential], middle: Tensor, scatter: Tensor) -> None:
        """Take over ``taught`` networks of this shape, as many as there are, whose outputs are (fraction of the range
        - middle) / scatter."""
        for own, network in zip(self.networks, taught, strict=True):
            own.load_state_dict(network.state_dict())
        self.middle.copy_(middle)
        self.scatter.copy_(scatter)

    @torch.no_grad()
    def of(self, labels: Sequence[int]) -> Estimates:
        """The same estimates of these labels alone, given by their places, in this order."""
        chosen, at = copy.deepcopy(self), list(labels)
        for network in chosen.networks:
            assert isinstance(network, nn.Sequential)
            last = network[-1]
            assert isinstance(last, nn.Linear)
            narrower = nn.Linear(last.in_features, len(at)).requires_grad_(False)
            narrower.weight.copy_(last.weight[at])
            narrower.bias.copy_(last.bias[at])
            network[-1] = narrower
        chosen.middle, chosen.scatter = self.middle[at], self.scatter[at]
        chosen.place = nn.Parameter(self.place[at])
        return chosen

    def fractions(self, inputs: Tensor) -> Tensor:
        """Estimates (n, labels) as fractions of the labels' ranges."""
        return self.middle + self.scatter * mean_of(self.networks, inputs)

    def forward(self, inputs: Tensor, changed: Tensor | None = None) -> Tensor:
        """Tokens; see the class.  changed: (n, labels) what is added to the estimates, in fractions of the ranges."""
        value = self.fractions(inputs)[..., None]
        if changed is not None:
            value = value + changed[..., None]
        phase = math.pi * self.order * value
        fade = self.order**_FADE
        features = torch.cat([6 * (value - 0.5), torch.cos(phase) / fade, torch.sin(phase) / fade], dim=-1)
        return features @ self.written + self.place


def mean_of(networks: Iterable[nn.Module], inputs: Tensor) -> Tensor:
    """Mean outputs (n, labels) of networks for inputs (n, inputs)."""
    return torch.stack([network(inputs) for network in networks]).mean(dim=0)


def make_network(inputs: int, width: int, labels: int) -> nn.Sequential:
    """Two hidden layers of ``width`` between inputs and labels."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, labels)
    )
