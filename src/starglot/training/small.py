"""Small networks on a few hundred numbers a spectrum, which are taught in seconds and need no checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def fit_small(
    network: nn.Module,
    n: int,
    passes: int,
    batch: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    loss: Callable[[Tensor, torch.Generator], Tensor],
) -> None:
    """Teach a network, in place: AdamW, one cycle of the rate, ``passes`` over n spectra in steps of ``batch``.

    loss: of the rows (batch,) of a step, which draws whatever it draws from the generator.
    """
    batch = min(batch, n)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.98), fused=True
    )
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=passes * (n // batch), pct_start=0.05
    )
    for _ in range(passes):
        order = torch.randperm(n, generator=generator)
        for first in range(0, n - batch + 1, batch):
            of_step = loss(order[first : first + batch], generator)
            optimiser.zero_grad()
            of_step.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rates.step()
    network.eval()
