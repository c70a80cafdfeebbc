"""A dense autoencoder of spectra, and its latent vector: an embedding.

SpecCLIP's encoder of Gaia XP spectra (arXiv:2507.01939), to the last parameter: 42,846,129 at its full size of 343
samples, hidden width 1,290 and latent width 768.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from starglot.models.encoders.scaled import standardised

#: Dense blocks on each side of the latent vector, and how much wider they are inside.
BLOCKS, WIDER = 2, 3


def described(flux: Tensor) -> Tensor:
    """(n, pixels) flux -> (n, pixels + 2): mean, scatter, and the flux less that mean, by that scatter."""
    values, mean, scatter = standardised(flux)
    return torch.cat([mean, scatter, values], dim=1)


class Autoencoder(nn.Module):
    """Dense layers to a narrow latent vector and back.

    pixels: of a spectrum; width: of the latent vector; hidden: of the layers before and behind it.
    """

    def __init__(self, pixels: int, width: int = 768, hidden: int = 1290):
        super().__init__()
        self.pixels, self.width = pixels, width
        self.encoder = nn.Sequential(
            nn.Linear(pixels + 2, hidden), *_blocks(hidden), nn.Linear(hidden, width), nn.LayerNorm(width)
        )
        self.decoder = nn.Sequential(nn.Linear(width, hidden), *_blocks(hidden), nn.Linear(hidden, pixels + 2))

    def forward(self, whole: Tensor) -> Tensor:
        """(n, pixels + 2) of :func:`described` -> the same, as far as it passes through the latent vector."""
        again: Tensor = self.decoder(self.encoder(whole))
        return again

    def embed(self, flux: Tensor) -> Tensor:
        """(n, pixels) flux -> embedding (n, width): the latent vector."""
        latent: Tensor = self.encoder(described(flux))
        return latent

    def spectrum(self, latent: Tensor) -> Tensor:
        """(n, width) latent vectors -> (n, pixels) flux."""
        again: Tensor = self.decoder(latent)
        return again[:, 2:] * again[:, 1:2] + again[:, :1]


def _blocks(hidden: int) -> list[nn.Module]:
    """Blocks without a shortcut, as in the public code."""
    layers: list[nn.Module] = []
    for _ in range(BLOCKS):
        wide = WIDER * hidden
        layers += [nn.LayerNorm(hidden), nn.Linear(hidden, wide), nn.GELU(), nn.Linear(wide, hidden)]
    return layers
