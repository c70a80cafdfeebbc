"""A language model that fills in hidden patches of a spectrum: what it learns by that needs no label.

A share of the patches is hidden, each behind the same vector.  After all tokens of the spectrum one more stands for
each hidden patch, a question that says where the patch was; what the base makes of it is mapped to the patch's
pixels.  So a base that looks back alone, as causal language models do, sees the patches on both sides of what it is
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from starglot.models.patch_llm import TrainedPart, width_of
from starglot.models.projector import Projector

if TYPE_CHECKING:
    from peft import PeftModel


class PatchFiller(TrainedPart):
    """Projector, language model with adapters, and what is dropped after training: the questions and the map back."""

    def __init__(self, projector: Projector, llm: PeftModel):
        """Weights are drawn from torch's generator."""
        super().__init__()
        self.projector = projector
        self.llm: Any = llm
        hidden, size = width_of(llm), float(projector.out_size)
        channels = 2 if projector.settings.channels == "both" else 1
        self.masked = nn.Parameter(torch.randn(hidden) * size)
        self.question = nn.Parameter(torch.randn(hidden) * size)
        self.back = nn.Linear(hidden, channels * projector.settings.width)

    def forward(self, fine: Tensor, coarse: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden patches as they are filled in, and as they are: (n, k, channels * width) each, standardised pixels,
        NaN where one is missing.

        fine: (n, size) pixels; coarse: (n, coarse); hidden: (n, k) numbers of patches.
        """
        projector, base = self.projector, self.llm
        # Hidden pixels are missing to all that reads pixels: whitening and overlapping patches would tell them else.
        unseen = torch.zeros_like(fine, dtype=torch.bool).scatter_(1, projector.index[hidden].flatten(1), True)
        tokens = projector(fine.masked_fill(unseen, torch.nan), coarse)
        place = projector.place[: projector.patches]
        patches, further = tokens[:, : projector.patches], tokens[:, projector.patches :]
        gone = torch.zeros(patches.shape[:2], dtype=torch.bool, device=fine.device).scatter_(1, hidden, True)
        patches = torch.where(gone[..., None], self.masked + place, patches)
        asked = torch.cat([patches, further, self.question + place[hidden]], dim=1)
        dtype = base.get_input_embeddings().weight.dtype
        states = base(inputs_embeds=asked.to(dtype), use_cache=False, output_hidden_states=True, logits_to_keep=1)
        filled = self.back(states.hidden_states[-1][:, -hidden.shape[1] :].float())
        return filled, self._true(fine, hidden)

    def _true(self, fine: Tensor, hidden: Tensor) -> Tensor:
        """The pixels of hidden patches, as :meth:`forward` returns them."""
        index = self.projector.index[hidden]
        scaled = self.projector.scaled(fine).masked_fill(torch.isnan(fine)[:, None], torch.nan)
        n, channels = scaled.shape[:2]
        k, width = index.shape[1:]
        cut = scaled.gather(2, index.reshape(n, 1, k * width).expand(n, channels, -1))
        return cut.reshape(n, channels, k, width).transpose(1, 2).flatten(2)


def draw_hidden_patches(n: int, patches: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """(n, k) numbers of the patches that are hidden in each of n spectra, in their order; one of them at least, and
    one at least is left."""
    k = min(max(1, round(share * patches)), max(1, patches - 1))
    return np.sort(np.argsort(rng.random((n, patches)), axis=1)[:, :k], axis=1)
