"""One view of an aligned pair: its encoder, and the heads that read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from starglot.config.bases.aligned import AlignedBase
from starglot.models.encoders.heads import AttentionHead, DenseHead
from starglot.models.encoders.masked import tokens_of
from starglot.registry import Registry


class Reading(NamedTuple):
    """How heads read an encoder: what they are given of flux, and a head of so many numbers and attention heads."""

    features: Callable[[Any, Tensor], Tensor]
    head: Callable[[int, int, int, AlignedBase], nn.Module]


#: Kind of encoder -> how heads read it: a masked encoder by its tokens, an autoencoder by its latent vector.
READINGS: Registry[Reading] = Registry(
    {
        "masked_encoder": Reading(
            lambda encoder, flux: encoder.states(tokens_of(flux)),
            lambda inside, width, heads, settings: AttentionHead(inside, width, heads, settings.dropout),
        ),
        "autoencoder": Reading(
            lambda encoder, flux: encoder.embed(flux),
            lambda inside, width, heads, settings: DenseHead(inside, width, settings.hidden, settings.dropout),
        ),
    }
)


def shared_head(kind: str, inside: int, settings: AlignedBase) -> nn.Module:
    """A head of the part that is compared with the other view's, on an encoder of this kind and width."""
    return READINGS[kind].head(inside, settings.shared, settings.heads, settings)


def own_head(kind: str, inside: int, settings: AlignedBase) -> nn.Module:
    """A head of the view's own part, which has half as many attention heads."""
    return READINGS[kind].head(inside, settings.own, max(1, settings.heads // 2), settings)


class Side(nn.Module):
    """What one view of an aligned pair makes of spectra: an embedding for models that read it in place of flux.

    It has the shared part, and behind it the own part of a pair that has one ("embed-align" and "embed-split" of the
    transfer paper).
    """

    def __init__(self, settings: AlignedBase, kind: str, encoder: Any):
        """settings: of the pair; kind, encoder: of this view."""
        super().__init__()
        self.kind, self.encoder, self.pixels = kind, encoder, int(encoder.pixels)
        self.width = settings.shared + settings.own
        self.heads = nn.ModuleList([shared_head(kind, encoder.width, settings)])
        if settings.own:
            self.heads.append(own_head(kind, encoder.width, settings))

    def embed(self, flux: Tensor) -> Tensor:
        """(n, pixels) flux -> embeddings (n, shared + own)."""
        features = READINGS[self.kind].features(self.encoder, flux)
        return torch.cat([head(features) for head in self.heads], dim=1)
