"""Two encoders whose embeddings of one star lie together: trained heads on frozen encoders, and their file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from starglot.config.bases.aligned import AlignedBase
from starglot.errors import StarglotError
from starglot.models.encoders.files import ENCODERS, as_flux, load_weights, save_side, save_weights
from starglot.models.encoders.heads import OwnDecoder, cross_decoder
from starglot.models.encoders.sides import READINGS, Side, own_head, shared_head

#: The file of an aligned pair: heads, decoders and both encoders.
ALIGNED = "aligned.safetensors"
#: Spectra that pass through an encoder together when it only reads.
_BATCH = 256
#: Length below which an embedding is not divided by its own (as in the public code).
_LEAST_LENGTH = 1e-3


class Heads(nn.Module):
    """What is trained: for both views a head of the shared part, and with an own part one of that, and decoders.

    kinds, inside, pixels: of the two encoders.
    """

    def __init__(self, settings: AlignedBase, kinds: Sequence[str], inside: Sequence[int], pixels: Sequence[int]):
        super().__init__()
        shared, own = settings.shared, settings.own
        sides = list(zip(kinds, inside, strict=True))
        self.shared = nn.ModuleList(shared_head(kind, w, settings) for kind, w in sides)
        self.own, self.decoders, self.cross = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        if own:
            self.own.extend(own_head(kind, w, settings) for kind, w in sides)
            self.decoders.extend(OwnDecoder(shared, own, n) for n in pixels)
            self.cross.extend(cross_decoder(shared, n, settings.dropout) for n in pixels)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """What encoders make of both views -> shared parts (n, shared); with an own part also the spectra (n, pixels)
        that are made of the view's own two parts, and those made of the other view's shared part."""
        shared = [head(each) for head, each in zip(self.shared, features, strict=True)]
        again, crossed = list[Tensor](), list[Tensor]()
        for place, own in enumerate(self.own):
            again.append(self.decoders[place](shared[place], own(features[place])))
            crossed.append(self.cross[place](shared[1 - place]))
        return shared, again, crossed


class Aligned(nn.Module):
    """Encoders and heads of two views; a view is named by its place, 0 or 1."""

    def __init__(self, settings: AlignedBase, kinds: Sequence[str], encoders: Sequence[Any]):
        """encoders: of these kinds, as :func:`starglot.models.encoders.files.load_encoder` gives them."""
        super().__init__()
        self.settings, self.kinds = settings, tuple(kinds)
        self.encoders = nn.ModuleList(encoders).requires_grad_(False)
        self.pixels: list[int] = [encoder.pixels for encoder in encoders]
        self.heads = Heads(settings, kinds, [encoder.width for encoder in encoders], self.pixels)

    def features(self, place: int, flux: Tensor) -> Tensor:
        """What heads read of flux (n, pixels): tokens (n, tokens, width), or latent vectors (n, width)."""
        with torch.no_grad():
            return READINGS[self.kinds[place]].features(self.encoders[place], flux)

    def embed(self, place: int, flux: Tensor) -> Tensor:
        """(n, pixels) flux -> the shared part of the embedding (n, shared), as compared by its direction alone."""
        shared: Tensor = self.heads.shared[place](self.features(place, flux))
        return shared

    def translate(self, place: int, shared: Tensor) -> Tensor:
        """(n, shared) embeddings of a view's spectra -> flux of the same stars in the other view.

        Raises StarglotError when the pair has no decoders.
        """
        if not self.settings.own:
            raise StarglotError(
                "this aligned pair has no decoders, and so gives no spectra",
                where=f"bases: kind aligned, own: {self.settings.own}",
                allowed="own: 1 or more",
                todo="train one with an own part (SpecCLIP's split variant: shared 512, own 256)",
            )
        flux: Tensor = self.heads.cross[1 - place](shared)
        return flux

    def translated(self, place: int, shared: np.ndarray) -> np.ndarray:
        """The same of arrays, in batches, without gradients."""
        with torch.no_grad():
            parts = [
                self.translate(place, torch.tensor(shared[first : first + _BATCH])).numpy()
                for first in range(0, len(shared), _BATCH)
            ]
        return np.concatenate(parts)


def of_length_1(embeddings: Tensor) -> Tensor:
    """(n, width) -> the same, each divided by its length."""
    return normalize(embeddings, dim=-1, eps=_LEAST_LENGTH)


def contrast(
    one: Tensor, other: Tensor, scale: float, among: tuple[Tensor, Tensor] | None = None, first: int = 0
) -> Tensor:
    """Sum over n pairs of the symmetric cross-entropy: which belongs to which, by cosines times ``scale``.

    one, other: (n, width) shared parts, row by row of the same stars; among: both parts of all pairs to choose from,
    of which these are the ones from ``first`` on; None: these are all.  Divided by n it is CLIP's loss.
    """
    ones, others = of_length_1(one), of_length_1(other)
    if among is None:
        logits = scale * ones @ others.T
        back = logits.T
    else:
        all_ones, all_others = map(of_length_1, among)
        logits, back = scale * ones @ all_others.T, scale * others @ all_ones.T
    right = first + torch.arange(len(one), device=one.device)
    both = cross_entropy(logits, right, reduction="sum") + cross_entropy(back, right, reduction="sum")
    return both / 2


def save_aligned(network: Aligned, encoders: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write all weights, with the settings by which the networks are built again; encoders: of the two bases."""
    about: dict[str, Any] = {
        "base": network.settings.model_dump(mode="json", exclude={"training", "gpus"}),
        "encoders": list(encoders),
    }
    about["pixels"] = network.pixels
    save_weights(network, about, Path(folder) / ALIGNED)


def load_aligned(folder: Path) -> Aligned:
    """The pair of :func:`save_aligned`, ready to read; raises StarglotError when its file cannot be read."""
    about, tensors = load_weights(Path(folder) / ALIGNED, "the weights of the aligned pair")
    kinds = [each["kind"] for each in about["encoders"]]
    encoders = [
        ENCODERS[kind](settings, pixels)
        for kind, settings, pixels in zip(kinds, about["encoders"], about["pixels"], strict=True)
    ]
    network = Aligned(AlignedBase.model_validate(about["base"]), kinds, encoders)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


def save_one_side(folder: Path, place: int, out: Path) -> None:
    """Write one view of the pair in ``folder``, encoder and heads, where a model of ``out`` reads its embeddings."""
    about, _ = load_weights(Path(folder) / ALIGNED, "the weights of the aligned pair")
    network = load_aligned(folder)
    side = Side(network.settings, network.kinds[place], network.encoders[place])
    parts = (network.heads.shared, network.heads.own) if network.settings.own else (network.heads.shared,)
    side.heads = nn.ModuleList(part[place] for part in parts)
    save_side(side, about["base"], about["encoders"][place], out)


def in_batches(function: Callable[[Tensor], Tensor], flux: np.ndarray, device: torch.device) -> np.ndarray:
    """What ``function`` makes of int16 flux (n, pixels), float32 (n, ...), without gradients."""
    with torch.no_grad():
        parts = [
            function(as_flux(np.asarray(flux[first : first + _BATCH])).to(device)).cpu().numpy()
            for first in range(0, len(flux), _BATCH)
        ]
    return np.concatenate(parts)
