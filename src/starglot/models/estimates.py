"""Tokens that say what small models make of a spectrum: an estimate of each label, written as numbers are.

Networks and kernels read the spectrum's coordinates along its principal directions, and an estimate is a mean of
theirs.  They are taught first, by themselves, in seconds (:mod:`starglot.training.estimates`), and stay as they are
while the language model learns to read their tokens beside the patches.  Answers remain the language model's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from starglot.config.patches import Estimated, Kernels

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

    def __init__(self, settings: Estimated, coarse: int, labels: int, hidden: int):
        """coarse: means of the flux that are read beside the coordinates."""
        super().__init__()
        inputs = settings.inputs(coarse)
        made = (make_network(inputs, settings.width, labels) for _ in range(settings.networks))
        self.networks = nn.ModuleList(made).requires_grad_(False)
        self.kernels = None if settings.kernels is None else AtLandmarks(settings, settings.kernels, coarse, labels)
        self.register_buffer("middle", torch.zeros(labels))
        self.register_buffer("scatter", torch.ones(labels))
        self.register_buffer("order", torch.arange(1, _HARMONICS + 1).float(), persistent=False)
        features = 1 + 2 * _HARMONICS
        self.written = nn.Parameter(torch.randn(features, hidden) * _WRITTEN / math.sqrt(features))
        self.place = nn.Parameter(torch.randn(labels, hidden) * _PLACE)

    @torch.no_grad()
    def learnt(self, taught: Sequence[nn.Sequential], middle: Tensor, scatter: Tensor) -> None:
        """Take over ``taught`` networks of this shape, as many as there are, whose outputs are, as those of kernels,
        (fraction of the range - middle) / scatter."""
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
        if chosen.kernels is not None:
            chosen.kernels.keep(at)
        chosen.middle, chosen.scatter = self.middle[at], self.scatter[at]
        chosen.place = nn.Parameter(self.place[at])
        return chosen

    def fractions(self, inputs: Tensor) -> Tensor:
        """Estimates (n, labels) as fractions of the labels' ranges."""
        return self.middle + self.scatter * self.standardised(inputs)

    def standardised(self, inputs: Tensor) -> Tensor:
        """Estimates (n, labels) less their middle, in units of their scatter."""
        by_networks = mean_of(self.networks, inputs)
        if self.kernels is None:
            return by_networks
        return torch.lerp(by_networks, self.kernels(inputs).to(by_networks.dtype), self.kernels.share)

    def forward(self, inputs: Tensor, changed: Tensor | None = None) -> Tensor:
        """Tokens; see the class.  changed: (n, labels) what is added to the estimates, in fractions of the ranges."""
        value = self.fractions(inputs)[..., None]
        if changed is not None:
            value = value + changed[..., None]
        phase = math.pi * self.order * value
        fade = self.order**_FADE
        features = torch.cat([6 * (value - 0.5), torch.cos(phase) / fade, torch.sin(phase) / fade], dim=-1)
        return features @ self.written + self.place


class AtLandmarks(nn.Module):
    """Values (n, labels) of inputs (n, inputs): Gaussians of the distance to landmarks, each with its weight.

    float64, since weights are large and of both signs.  ``share`` (labels,) is what they count in an estimate:
    nothing as long as they have not been fitted (:mod:`starglot.training.estimates`).
    """

    read: Tensor
    landmark: Tensor
    dual: Tensor
    intercept: Tensor
    width: Tensor
    share: Tensor

    def __init__(self, estimated: Estimated, settings: Kernels, coarse: int, labels: int):
        super().__init__()
        of_shape = range(estimated.components, estimated.components + coarse)
        read = [*range(min(settings.components, estimated.components)), *of_shape]
        self.register_buffer("read", torch.tensor(read), persistent=False)
        self.register_buffer("landmark", torch.zeros(settings.landmarks, len(read), dtype=torch.float64))
        self.register_buffer("dual", torch.zeros(settings.landmarks, labels, dtype=torch.float64))
        self.register_buffer("intercept", torch.zeros(labels, dtype=torch.float64))
        self.register_buffer("width", torch.ones(labels, dtype=torch.float64))
        self.register_buffer("share", torch.zeros(labels))

    def keep(self, labels: Sequence[int]) -> None:
        """Leave these labels alone, given by their places, in this order."""
        self.dual = self.dual[:, labels]
        self.intercept, self.width, self.share = (each[labels] for each in (self.intercept, self.width, self.share))

    def forward(self, inputs: Tensor) -> Tensor:
        """See the class."""
        apart = torch.cdist(inputs[:, self.read].double(), self.landmark, compute_mode="donot_use_mm_for_euclid_dist")
        square = apart.square()
        found = [
            torch.exp(-square / (2 * width**2)) @ weight
            for width, weight in zip(self.width, self.dual.T, strict=True)
        ]
        return torch.stack(found, dim=1) + self.intercept


def mean_of(networks: Iterable[nn.Module], inputs: Tensor) -> Tensor:
    """Mean outputs (n, labels) of networks for inputs (n, inputs)."""
    return torch.stack([network(inputs) for network in networks]).mean(dim=0)


def make_network(inputs: int, width: int, labels: int) -> nn.Sequential:
    """Two hidden layers of ``width`` between inputs and labels."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, labels)
    )
