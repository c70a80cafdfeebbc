"""Learning groups and labels from spectra: cross-entropy of the group + weight x squared error of the labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from starglot.config.kinds.baselines import Network
from starglot.models.baselines.features import prepared
from starglot.models.baselines.reading import BATCH, Scales, read_features
from starglot.models.baselines.rows import Rows
from starglot.spectra.redraw import redraw_flux
from starglot.training.processes import Batch, Sums

#: Spectra that are prepared together outside of training steps.
BLOCK = 2048


class Supervised:
    """The objective of a network that tells group and labels (paper 4.1 and 4.2), of :class:`.epochs.Objective`.

    Batches are features, groups (-1 where unknown) and labels in the network's units (NaN where missing).
    """

    def __init__(self, train: Spectra, val: Spectra):
        """Without validation spectra the training spectra are held out, as they are: they must stand for them."""
        self.train, self._held_out = train, val if len(val) else train
        self.weight = train.settings.training.regression_weight

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        """Features, with flux drawn anew where the settings say so; group and labels."""
        features = self.train.features(chosen, rng)
        return torch.from_numpy(features), self.train.group[chosen], self.train.target[chosen]

    def held_out(self) -> Iterator[Batch]:
        """All held out spectra, as they are."""
        for block in self._held_out.blocks(np.arange(len(self._held_out))):
            features = torch.from_numpy(self._held_out.features(block))
            for first in range(0, len(block), BATCH):
                chosen = block[first : first + BATCH]
                yield (
                    features[first : first + BATCH],
                    self._held_out.group[chosen],
                    self._held_out.target[chosen],
                )

    def sums(self, network: nn.Module, batch: Batch) -> Sums:
        """Cross-entropy of known groups and their number, squared error of known labels and their number."""
        features, group, target = batch
        logits, values = network(features)
        return summed(logits, values, group, target)

    def loss(self, sums: Sums) -> Tensor:
        """Mean cross-entropy + weight x mean squared error."""
        return weighted(sums, self.weight)


def summed(logits: Tensor, values: Tensor, group: Tensor, target: Tensor) -> Sums:
    """The sums of :class:`Supervised` for n spectra.

    logits (n, groups), values (n, labels): what a network says; group (n,), -1 where unknown; target (n, labels), NaN
    where missing.
    """
    known, grouped = torch.isfinite(target), group >= 0
    entropy = cross_entropy(logits, group, ignore_index=-1, reduction="sum")
    squared = torch.where(known, values - torch.nan_to_num(target), 0.0).square().sum()
    return entropy, grouped.sum(), squared, known.sum()


def weighted(sums: Sums, weight: float) -> Tensor:
    """Mean cross-entropy + weight x mean squared error, from the sums over any number of spectra."""
    entropy, groups, squared, values = sums
    mean = entropy / groups.clamp(min=1)
    return mean + weight * squared / values.clamp(min=1)


class Features(Protocol):
    """What is read of spectra, by number: bins of flux or embeddings."""

    count: int

    def __len__(self) -> int:
        """Spectra."""

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        """float32 (chosen, count)."""


class Spectra:
    """Features and targets of some rows in the network's units, by number."""

    def __init__(self, rows: Rows, bins: Features, settings: Network, scales: Scales):
        self.bins, self.settings, self.scales = bins, settings, scales
        self.group = torch.from_numpy(rows.group.astype(np.int64))
        self.target = torch.from_numpy(scales.labels(rows.truth))

    def __len__(self) -> int:
        return len(self.bins)

    def features(self, chosen: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """float32 (chosen, features); with ``rng`` the flux is drawn anew."""
        flux = self.bins[chosen]
        augment = self.settings.training.augment
        if rng is not None and augment.changes:
            flux = redraw_flux(flux, augment, rng).astype(np.float32)
        return self.scales.inputs(prepared(flux, self.settings))

    def blocks(self, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Numbers of the chosen spectra in parts that are prepared together; of none, one part without any."""
        for first in range(0, max(len(chosen), 1), BLOCK):
            yield chosen[first : first + BLOCK]

    def read(self, network: nn.Module, chosen: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
        """What the network says of the chosen spectra: (n, labels) in the labels' own units, and (n,) groups."""
        plain = Scales(np.zeros(1), np.ones(1), self.scales.label_shift, self.scales.label_scale)
        parts = [read_features(network, plain, self.features(block), device) for block in self.blocks(chosen)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1].argmax(axis=1) for part in parts])
