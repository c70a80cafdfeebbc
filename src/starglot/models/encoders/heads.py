"""Projection heads, which bring the embeddings of two frozen encoders together, and decoders of what they give.

SpecCLIP's (arXiv:2507.01939), to the last parameter: 7,087,104 for a head on the tokens of a masked encoder, and
7,100,568 for one on the latent vector of an autoencoder, both from 768 to 768 numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

#: How much wider the last two layers of a head are inside, and decoders than what they decode.
WIDER = 4


class _Residual(nn.Module):
    """x + MLP(x)."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(width, WIDER * width), nn.GELU(), nn.Linear(WIDER * width, width), nn.Dropout(dropout)
        )

    def forward(self, at: Tensor) -> Tensor:
        """(n, width) -> the same."""
        further: Tensor = at + self.dense(at)
        return further


class _Attention(nn.MultiheadAttention):
    """Attention of one query, without masks and weights, whose output layer is called as a layer.

    Torch's own takes that layer's weight alone, so that updates of it (LoRA) would never be seen.
    """

    def looked_at(self, asking: Tensor, tokens: Tensor) -> Tensor:
        """asking: the query (n, 1, width); tokens (n, tokens, inside) -> (n, width)."""
        biases = self.in_proj_bias.chunk(3)
        if self.in_proj_weight is None:  # tokens are of another width
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        else:
            weights = self.in_proj_weight.chunk(3)
        given = (asking, tokens, tokens)
        at = [linear(*each) for each in zip(given, weights, biases, strict=True)]
        query, key, value = (each.reshape(*each.shape[:2], self.num_heads, -1).transpose(1, 2) for each in at)
        mixed: Tensor = self.out_proj(scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return mixed[:, 0]


class AttentionHead(nn.Module):
    """One learnt query that looks at all tokens of a spectrum, and a dense part behind it.

    inside: width of a token; width: of what it gives; heads: of the attention, must divide the width.
    """

    def __init__(self, inside: int, width: int, heads: int, dropout: float):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width))
        self.attention = _Attention(width, heads, kdim=inside, vdim=inside, batch_first=True)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)
        self.residual = _Residual(width, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, inside) -> (n, width)."""
        looked = self.attention.looked_at(self.query.expand(len(tokens), -1, -1), tokens)
        projected: Tensor = self.residual(self.norm(self.dropout(looked)))
        return projected


class DenseHead(nn.Module):
    """Dense layers on a latent vector; there is no sequence to attend to, though the paper says there is attention.

    inside: width of the latent vector; width: of what it gives; hidden: between (SpecCLIP: 1,160, which makes it as
    large as the other head).
    """

    def __init__(self, inside: int, width: int, hidden: int, dropout: float):
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(inside, width),
            nn.Linear(width, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Linear(hidden, width),
            nn.LayerNorm(width),
            nn.Dropout(dropout),
        )
        self.residual = _Residual(width, dropout)

    def forward(self, latent: Tensor) -> Tensor:
        """(n, inside) -> (n, width)."""
        projected: Tensor = self.residual(self.dense(latent))
        return projected


class OwnDecoder(nn.Module):
    """A spectrum from both parts of its own view's embedding: what they share, and what is the view's own."""

    def __init__(self, shared: int, own: int, pixels: int):
        super().__init__()
        self.shared, self.own = nn.Linear(shared, pixels), nn.Linear(own, pixels)
        self.dense = nn.Sequential(nn.Linear(2 * pixels, 2 * pixels), nn.GELU(), nn.Linear(2 * pixels, pixels))

    def forward(self, shared: Tensor, own: Tensor) -> Tensor:
        """(n, shared), (n, own) -> flux (n, pixels)."""
        flux: Tensor = self.dense(torch.cat([self.shared(shared), self.own(own)], dim=1))
        return flux


def cross_decoder(shared: int, pixels: int, dropout: float) -> nn.Sequential:
    """A spectrum from the shared part of the other view's embedding: (n, shared) -> flux (n, pixels).

    Three layers, as wide as each other where the spectrum has more values than the embedding, else ever narrower.
    """
    wide = WIDER * shared
    widths = [wide, wide, wide] if pixels > shared else [wide, wide // 2, wide // 4]
    layers: list[nn.Module] = []
    before = shared
    for width in widths:
        layers += [nn.Linear(before, width), nn.GELU(), nn.BatchNorm1d(width), nn.Dropout(dropout)]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, pixels))
