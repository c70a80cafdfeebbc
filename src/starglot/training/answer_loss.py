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
    numbers, too; the expectation is over number tokens.  Where a number is three digits, each digit has its
    distribution given those before, which are fed: as they are drawn from the Gaussian, the divergences of the three
    add up, on average, to that of the number.
    """

    slots: Tensor
    numbers: Tensor
    error: Tensor
    grid: Tensor

    def __init__(self, answer: AnswerTokens, scales: list[NumberScale], huber: float, text: float, of_class: float):
        super().__init__()
        self.huber, self.text, self.of_class, self.letter = huber, text, of_class, answer.letter
        self.register_buffer("slots", torch.as_tensor(answer.slots), persistent=False)
        self.register_buffer("numbers", torch.as_tensor(answer.numbers), persistent=False)
        error = torch.tensor([scale.error / scale.step for scale in scales])
        self.register_buffer("error", error, persistent=False)
        self.register_buffer("grid", torch.arange(NUMBERS).float(), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor, target: Tensor, fed: Tensor) -> Tensor:
        """logits (n, length, vocabulary); labels (n, length): ids of the text, IGNORED at numbers and unknown
        classes; target (n, labels): true numbers (0 to 999, with fractions), NaN where unknown; fed (n, labels, 1 or
        3): what stands in the numbers' slots of the answer, numbers or digits."""
        counted = labels != IGNORED
        entropy = cross_entropy(logits.transpose(1, 2).float(), labels, ignore_index=IGNORED, reduction="none")
        of_class = torch.zeros_like(entropy[0, 0])
        if self.letter is not None:
            classed = counted[:, self.letter]
            of_class = entropy[:, self.letter].sum() / classed.sum().clamp(min=1)
            counted = counted & (torch.arange(labels.shape[1], device=labels.device) != self.letter)
        of_text = (entropy * counted).sum() / counted.sum()
        known = torch.isfinite(target)
        true = torch.nan_to_num(target)
        soft = (-0.5 * ((self.grid - true[..., None]) / self.error[:, None]) ** 2).log_softmax(dim=-1)
        each = self._of_numbers(logits, soft, true) if fed.shape[-1] == 1 else self._of_digits(logits, soft, fed)
        each = torch.where(known, each, 0.0)
        return each.sum() / known.sum().clamp(min=1) + self.of_class * of_class + self.text * of_text

    def _of_numbers(self, logits: Tensor, soft: Tensor, true: Tensor) -> Tensor:
        """(n, labels) losses; soft (n, labels, 1000): logarithms of the target."""
        of_all = logits[:, self.slots[:, 0]].float()
        divergence, expected = self._against(of_all, soft, self.grid)
        return divergence + self._huber(expected - true)

    def _of_digits(self, logits: Tensor, soft: Tensor, fed: Tensor) -> Tensor:
        """As above: of each digit, given those fed before; an expected digit's distance counts by its place."""
        each = torch.zeros_like(soft[..., 0])
        for place in range(fed.shape[-1]):
            unit = 10 ** (fed.shape[-1] - 1 - place)
            given = soft.reshape(*soft.shape[:-1], 10, -1, unit).logsumexp(dim=-1).flatten(-2)
            given = given.reshape(*soft.shape[:-1], 10**place, 10)
            before = sum(fed[..., k] * 10 ** (place - 1 - k) for k in range(place)) if place else fed[..., 0] * 0
            at = before[..., None, None].expand(*before.shape, 1, 10)
            wanted = given.gather(-2, at).squeeze(-2).log_softmax(dim=-1)
            of_all = logits[:, self.slots[:, place]].float()
            digits = self.grid[:10]
            divergence, expected = self._against(of_all, wanted, digits)
            each = each + divergence + self._huber(unit * (expected - (wanted.exp() * digits).sum(dim=-1)))
        return each

    def _against(self, of_all: Tensor, soft: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Divergence from the target and expected number, of logits (..., vocabulary)."""
        of_numbers = of_all[..., self.numbers]
        logged = of_numbers - of_all.logsumexp(dim=-1, keepdim=True)
        divergence = (soft.exp() * (soft - logged)).sum(dim=-1)
        return divergence, (of_numbers.softmax(dim=-1) * grid).sum(dim=-1)

    def _huber(self, distance: Tensor) -> Tensor:
        off = distance / (_LINEAR_AT * self.error)
        return self.huber * huber_loss(off, torch.zeros_like(off), reduction="none")


class WithLoss(nn.Module):
    """A model and the loss of its answers, as the Trainer wants them; its state is the model's."""

    def __init__(self, model: SpectrumLlm, loss: AnswerLoss):
        super().__init__()
        self.model, self.loss, self.config = model, loss, model.config

    def forward(
        self,
        labels: Tensor,
        fine: Tensor | None = None,
        coarse: Tensor | None = None,
        answer: Tensor | None = None,
        target: Tensor | None = None,
        fed: Tensor | None = None,
        changed: Tensor | None = None,
        embedded: Tensor | None = None,
        input_ids: Tensor | None = None,
        logits_to_keep: int = 0,
    ) -> dict[str, Tensor]:
        """{'loss': ...} of answers (n, length) to pixels and coarse values, the rest as of :class:`AnswerLoss`; or,
        with ``input_ids``, of ordinary text, as :class:`starglot.training.data.Collate` joins it."""
        if input_ids is not None:
            return {"loss": self._of_text(input_ids, labels, logits_to_keep)}
        return {"loss": self.loss(self.model(fine, coarse, answer, changed, embedded), labels, target, fed)}

    def _of_text(self, ids: Tensor, labels: Tensor, last: int) -> Tensor:
        """Mean cross-entropy of the tokens that count.

        The projector takes part with a factor of nothing: where several processes train, each waits for a gradient of
        every weight.
        """
        logits = self.model.llm(input_ids=ids, use_cache=False, logits_to_keep=last).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED)
        untouched = sum(weight.sum() for weight in self.model.projector.parameters() if weight.requires_grad)
        return loss + 0.0 * untouched

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """As of the model."""
        self.model.activation_checkpointing_enable(**options)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """As of the model."""
        return self.model.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of the model."""
        return self.model.load_state_dict(state_dict, strict, assign)
