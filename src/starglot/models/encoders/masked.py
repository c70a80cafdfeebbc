"""A transformer that fills in hidden pieces of a spectrum, and what it has learnt by that: an embedding.

SpecCLIP's encoder of LAMOST spectra (arXiv:2507.01939), to the last parameter: 42,677,013 at its full size of 1,462
pixels, width 768, 6 blocks and 6 heads.  Attention is scaled once, by 1 / sqrt(width of a head).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from starglot.models.encoders.scaled import standardised

#: Pixels of a piece, and from one piece to the next.
PIECE, STEP = 20, 10
#: Runs of tokens that are hidden, one in each equal part of the sequence, and the tokens of each.
RUNS, RUN = 6, 10
#: Learnt positions, unless there are more tokens.
POSITIONS = 150
#: How widely first weights of positions and dense layers are scattered.
_SCATTER = 0.02


def tokens_of(flux: Tensor) -> Tensor:
    """(n, pixels) flux -> tokens (n, pieces + 1, PIECE + 1).

    Each spectrum is taken less its mean, by its scatter. Token 0 is [log10 of the scatter, 0, ...], the others are
    [0, a piece of PIECE pixels]; pieces begin every STEP pixels, and pixels behind the last whole one are not seen.
    """
    values, _, scatter = standardised(flux)
    pieces = values.unfold(1, PIECE, STEP)
    pieces = torch.cat([torch.zeros_like(pieces[..., :1]), pieces], dim=-1)
    first = torch.cat([scatter.log10(), torch.zeros_like(pieces[:, 0, 1:])], dim=1)
    return torch.cat([first[:, None], pieces], dim=1)


def token_count(pixels: int) -> int:
    """Tokens of a spectrum of so many pixels, of at least one piece."""
    return (pixels - PIECE) // STEP + 2


def draw_hidden(n: int, tokens: int, rng: np.random.Generator) -> np.ndarray:
    """Which tokens (n, tokens) of n spectra are hidden: a run of RUN in each of RUNS equal parts."""
    edges = np.linspace(0, tokens, RUNS + 1).astype(int)
    first = rng.integers(edges[:-1], edges[1:] - RUN + 1, size=(n, RUNS))
    at = (first[..., None] + np.arange(RUN)).reshape(n, -1)
    hidden = np.zeros((n, tokens), bool)
    np.put_along_axis(hidden, at, True, axis=1)
    return hidden


def hidden_error(filled_in: Tensor, tokens: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of squared errors of the hidden tokens, and how many numbers these are: the loss is their ratio.

    filled_in, tokens: (n, tokens, values); hidden: (n, tokens), bool.
    """
    squared = (filled_in - tokens).square().sum(dim=-1)
    return (squared * hidden).sum(), hidden.sum() * tokens.shape[-1]


class MaskedEncoder(nn.Module):
    """Tokens of a spectrum through pre-norm transformer blocks.

    pixels: of a spectrum; width: of a token inside; blocks, heads: the transformer's.
    """

    def __init__(self, pixels: int, width: int = 768, blocks: int = 6, heads: int = 6):
        super().__init__()
        self.pixels, self.width, self.tokens = pixels, width, token_count(pixels)
        self.enter = nn.Linear(PIECE + 1, width)
        self.positions = nn.Parameter(torch.empty(max(POSITIONS, self.tokens), width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, PIECE + 1)
        nn.init.normal_(self.positions, std=_SCATTER)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=_SCATTER)
                nn.init.zeros_(module.bias)

    def states(self, tokens: Tensor) -> Tensor:
        """(n, tokens, width): the last block's, normalised."""
        at = self.enter(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            at = block(at)
        normalised: Tensor = self.norm(at)
        return normalised

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, PIECE + 1) -> the same: what the encoder makes of tokens, those that are hidden set to 0."""
        filled_in: Tensor = self.head(self.states(tokens))
        return filled_in

    def embed(self, flux: Tensor) -> Tensor:
        """(n, pixels) flux -> embedding (n, width): the mean over all tokens, token 0 as well."""
        return self.states(tokens_of(flux)).mean(dim=1)


class Block(nn.Module):
    """Attention and two dense layers, each behind a normalisation and beside a shortcut."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, at: Tensor) -> Tensor:
        """(n, tokens, width) -> the same."""
        at = at + self.attention(self.norm_1(at))
        further: Tensor = at + self.dense(self.norm_2(at))
        return further


class Attention(nn.Module):
    """Self-attention; keys and values are one layer, as in the public code, on which the counts of LoRA depend."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, at: Tensor) -> Tensor:
        """(n, tokens, width) -> the same."""
        key, value = self.key_value(at).chunk(2, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query(at), key, value)
        )
        mixed: Tensor = self.out(scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return mixed
