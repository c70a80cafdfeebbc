"""Muon for the matrices of a tiny base, AdamW for the rest.

Muon (K. Jordan et al., 2024) orthogonalises the momentum of each weight matrix; pre-training from random weights
gets equally far in fewer steps.  Adapters are trained with AdamW alone (paper 3.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Paired(torch.optim.Optimizer):
    """Several optimisers, each for its own parameters, that step, save and resume as one."""

    def __init__(self, *parts: torch.optim.Optimizer):
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.param_groups = [group for part in parts for group in part.param_groups]  # shared, not copied

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of each part."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of each part."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue each part from its state."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def muon_and_adamw(model: PreTrainedModel, learning_rate: float, weight_decay: float) -> Paired:
    """Muon for weight matrices inside the layers; AdamW for norms, embedding and output layer.

    One learning rate serves both: Muon's update is scaled to the root mean square of AdamW's.
    """
    inside = [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]
    chosen = {id(p) for p in inside}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return Paired(
        torch.optim.Muon(inside, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=learning_rate, weight_decay=0.0, betas=(0.9, 0.98)),
    )
