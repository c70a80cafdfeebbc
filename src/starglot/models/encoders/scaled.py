"""The scale of a single spectrum, which encoders set apart from its shape."""

from __future__ import annotations

from torch import Tensor

#: Least scatter of a spectrum: a constant one has none to be divided by.
LEAST_SCATTER = 1e-6


def standardised(flux: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(n, pixels) -> (flux less its mean, by its scatter; mean (n, 1); scatter (n, 1), standard deviation)."""
    mean = flux.mean(dim=1, keepdim=True)
    scatter = flux.std(dim=1, keepdim=True, correction=0).clamp(min=LEAST_SCATTER)
    return (flux - mean) / scatter, mean, scatter
