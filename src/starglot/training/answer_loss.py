"""The loss of an answer: soft targets and expectations of its numbers, and the text around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, huber_loss

from starglot.language.number_answers import NUMBERS, AnswerTokens, NumberScale
from starglot.models.patch_llm import SpectrumLlm
from starglot.training.data import IGNORED

#: The Huber loss turns linear at so many errors of a label.
_LINEAR_AT = 2.5


class AnswerLoss(nn.Module):
    """Mean over the known labels of KL(Gaussian of the label's error || prediction) and of the Huber loss of the
    expected number; the cross-entropy of the class; and the mean cross-entropy of all other tokens.

    The prediction's probabilities are those among all tokens of the vocabulary, so that other tokens lose against
    numbers, too; the expectation is over number tokens.
    """

    slots: Tensor
    numbers: Tensor
    error: Tensor
    grid: Tensor

    def __init__(self, answer: AnswerTokens, scales: list[NumberScale], huber: float, text: float):
        super().__init__()
        self.huber, self.text, self.letter = huber, text, answer.letter
        self.register_buffer("slots", torch.as_tensor(answer.slots), persistent=False)
        self.register_buffer("numbers", torch.as_tensor(answer.numbers), persistent=False)
        error = torch.tensor([scale.error / scale.step for scale in scales])
        self.register_buffer("error", error, persistent=False)
        self.register_buffer("grid", torch.arange(NUMBERS).float(), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        """logits (n, length, vocabulary); labels (n, length): ids of the text, IGNORED at numbers and unknown
        classes; target (n, labels): true numbers (0 to 999, with fractions), NaN where unknown."""
        counted = labels != IGNORED
        entropy = cross_entropy(logits.transpose(1, 2).float(), labels, ignore_index=IGNORED, reduction="none")
        of_class = torch.zeros_like(entropy[0, 0])
        if self.letter is not None:
            told = counted[:, self.letter]
            of_class = entropy[:, self.letter].sum() / told.sum().clamp(min=1)
            counted = counted & (torch.arange(labels.shape[1], device=labels.device) != self.letter)
        of_text = (entropy * counted).sum() / counted.sum()
        of_all = logits[:, self.slots].float()
        of_numbers = of_all[..., self.numbers]
        known = torch.isfinite(target)
        true = torch.nan_to_num(target)
        soft = (-0.5 * ((self.grid - true[..., None]) / self.error[:, None]) ** 2).log_softmax(dim=-1)
        logged = of_numbers - of_all.logsumexp(dim=-1, keepdim=True)
        divergence = (soft.exp() * (soft - logged)).sum(dim=-1)
        expected = (of_numbers.softmax(dim=-1) * self.grid).sum(dim=-1)
        off = (expected - true) / (_LINEAR_AT * self.error)
        distance = huber_loss(off, torch.zeros_like(off), reduction="none")
        each = torch.where(known, divergence + self.huber * distance, 0.0)
        return each.sum() / known.sum().clamp(min=1) + of_class + self.text * of_text


class WithLoss(nn.Module):
    """A model and the loss of its answers, as the Trainer wants them; its state is the model's."""

    def __init__(self, model: SpectrumLlm, loss: AnswerLoss):
        super().__init__()
        self.model, self.loss, self.config = model, loss, model.config

    def forward(
        self, fine: Tensor, coarse: Tensor, answer: Tensor, labels: Tensor, target: Tensor
    ) -> dict[str, Tensor]:
        """{'loss': ...} of answers (n, length) to pixels and coarse values; the rest as of :class:`AnswerLoss`."""
        return {"loss": self.loss(self.model(fine, coarse, answer), labels, target)}

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """As of the model."""
        self.model.activation_checkpointing_enable(**options)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """As of the model."""
        return self.model.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of the model."""
        return self.model.load_state_dict(state_dict, strict, assign)
