"""A trained network with a small one beside it that corrects its labels (residual head)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Corrected(nn.Module):
    """A network that stays as it was, and dense layers [n, ..., labels] whose values are added to its labels.

    The last layer begins at zero, so that the answers begin as the trained network's own.
    """

    def __init__(self, network: nn.Module, inputs: int, hidden: Sequence[int], labels: int):
        super().__init__()
        self.network, self.hidden = network.requires_grad_(False), list(hidden)
        widths = [inputs, *hidden]
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(widths):
            layers += [nn.Linear(wide, narrow), nn.ReLU()]
        last = nn.Linear(widths[-1], labels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(*layers, last)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(n, features) -> logits (n, groups) of the trained network, corrected labels (n, labels)."""
        with torch.no_grad():
            logits, values = self.network(features)
        return logits, values + self.correction(features)

    def train(self, mode: bool = True) -> Corrected:
        """The trained network answers as it does at prediction: no dropout, its own statistics."""
        super().train(mode)
        self.network.eval()
        return self
