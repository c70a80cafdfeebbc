"""Answers of a language model that reads patch tokens: values, their standard deviations and classes of a batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from starglot.inference.digits import SYMBOLS, DigitTree
from starglot.labels import REDSHIFT
from starglot.language.number_answers import NUMBERS, NumberScale
from starglot.models.class_probability import likeliest
from starglot.models.patch_llm import SpectrumLlm
from starglot.models.redshifts import Doubt, doubt_of_chances

#: Branches of a digit tree that are less probable are not followed: about a tenth of a label's error.
_PRUNE = 0.03


class Reading(NamedTuple):
    """What answers say: values and standard deviations (n, labels) in the labels' units; code (n,) of the class, -1
    where the form tells none, and its log-odds (n,) among all classes, NaN where there is none; doubt: of the
    redshifts, where the answer tells them."""

    value: np.ndarray
    sigma: np.ndarray
    code: np.ndarray
    log_odds: np.ndarray
    doubt: Doubt | None


class _Rows(nn.Module):
    """An output layer's logits of few tokens.

    A base's vocabulary is hundreds of times as many, and on a CPU takes longer than the layers of a small base.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, whole: Any, tokens: Tensor):
        super().__init__()
        self.register_buffer("weight", whole.weight[tokens], persistent=False)
        self.register_buffer("bias", None if whole.bias is None else whole.bias[tokens], persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return nn.functional.linear(hidden, self.weight, self.bias)


def weigh_answers_alone(model: SpectrumLlm) -> None:
    """Let the base's logits be of number tokens, then of the letters of classes in the order of ``CLASSES``, from now
    on: what :func:`read_answers` needs."""
    tokens = [*model.numbers.tolist(), *model.prompt.answer.letters.tolist()]
    whole = model.llm.get_output_embeddings()
    model.llm.set_output_embeddings(_Rows(whole, torch.as_tensor(tokens, device=whole.weight.device)))


@torch.no_grad()
def read_answers(
    model: SpectrumLlm,
    fine: Tensor,
    coarse: Tensor,
    scales: Mapping[str, NumberScale],
    embedded: Tensor | None = None,
) -> Reading:
    """Answers to pixels (n, size) and coarse values (n, coarse), step by step on one cache; model: after
    :func:`weigh_answers_alone`; embedded: embeddings (n, numbers), where the model reads them.

    The form's text is given, so that every answer can be read.  At a number the value is the mean of the distribution
    over number tokens, or of the tree over its digits, and sigma its standard deviation; later steps see the number
    nearest to the mean.  At the class the likeliest letter stands.
    """
    answer, n = model.prompt.answer, len(fine)
    value, sigma = np.full((n, len(answer.labels)), np.nan), np.full((n, len(answer.labels)), np.nan)
    code, odds, doubt = np.full(n, -1), np.full(n, np.nan), None
    stops = sorted([*answer.slots[:, 0].tolist(), *([] if answer.letter is None else [answer.letter])])
    column = {int(place): j for j, place in enumerate(answer.slots[:, 0])}
    scale = [scales[label] for label in answer.labels]
    fixed = torch.as_tensor(answer.ids, device=fine.device)
    said = torch.empty((n, 0), dtype=torch.long, device=fine.device)
    written = 0
    cache = model.question_read(n)
    for place in stops:
        text = torch.cat([said, fixed[written:place].expand(n, -1)], dim=1)
        inputs = model.embed(text)
        if not written:
            inputs = torch.cat([model.spectrum(fine, coarse, embedded=embedded), inputs], dim=1)
        logits = _next(model, inputs, cache)
        if place in column:
            moments = _number(logits, model) if answer.slots.shape[1] == 1 else _digits(logits, model, cache)
            mean, spread, chance = moments
            j = column[place]
            value[:, j] = scale[j].low + scale[j].step * mean
            sigma[:, j] = scale[j].step * spread
            if answer.labels[j] == REDSHIFT.name:
                trial = scale[j].low + scale[j].step * np.arange(NUMBERS)
                doubt = doubt_of_chances(trial, chance, value[:, j])
            said = model.numbers[torch.from_numpy(answer.parts(mean)).to(fine.device)]
        else:
            code, odds = likeliest(logits[:, len(model.numbers) :].cpu().numpy())
            said = torch.as_tensor(answer.letters[code], device=fine.device)[:, None]
        written = place + said.shape[1]
    return Reading(value, sigma, code, odds, doubt)


def _number(logits: Tensor, model: SpectrumLlm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation (n,) over the number tokens of logits (n, tokens), and their chances (n, 1000)."""
    grid = torch.arange(NUMBERS, dtype=torch.float64, device=logits.device)
    chance = logits[:, : len(grid)].softmax(dim=-1)
    mean = chance @ grid
    spread = (chance * (grid - mean[:, None]) ** 2).sum(dim=-1).sqrt()
    return mean.cpu().numpy(), spread.cpu().numpy(), chance.cpu().numpy()


def _digits(logits: Tensor, model: SpectrumLlm, cache: DynamicCache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same over trees of three digits; logits: of the first; cache: of what stands before it, left as it is.

    427 is the tree's 0.427, so that it ends with the third digit.
    """
    n, places = len(logits), model.prompt.answer.slots.shape[1]
    trees = [DigitTree(_PRUNE, decimals=places, limits=(0.0, 1.0)) for _ in range(n)]
    for tree in trees:
        for symbol in "0.":
            tree.grow(np.array([[float(each == symbol) for each in SYMBOLS]]))
    rows, chance = np.arange(n), logits[:, : len(model.numbers)].softmax(dim=-1).cpu().numpy()
    while len(rows):
        for row, tree in enumerate(trees):
            if tree.frontier:
                tree.grow(np.pad(chance[rows == row], ((0, 0), (0, len(SYMBOLS) - 10))))
        nodes = [(row, prefix[2:]) for row, tree in enumerate(trees) for prefix in tree.frontier]
        rows = np.array([row for row, _ in nodes], int)
        digits = np.array([[int(digit) for digit in prefix] for _, prefix in nodes], int)
        parts = [
            _behind(model, cache, rows[first : first + n], digits[first : first + n])
            for first in range(0, len(rows), n)
        ]
        chance = np.concatenate(parts) if parts else chance[:0]
    found = [tree.distribution() for tree in trees]
    mean = np.array([NUMBERS * each.mean if each else np.nan for each in found])
    spread = np.array([NUMBERS * each.sigma if each else np.nan for each in found])
    edges = (np.arange(NUMBERS + 1) - 0.5) / NUMBERS
    return mean, spread, np.array([each.chances(edges) if each else np.zeros(NUMBERS) for each in found])


def _behind(model: SpectrumLlm, cache: DynamicCache, rows: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """(nodes, 10) chances of the next digit behind ``digits`` (nodes, k) of the answers in ``rows`` (nodes,)."""
    own = copy.deepcopy(cache)
    own.batch_select_indices(torch.from_numpy(rows).to(model.numbers.device))
    inputs = model.embed(model.numbers[torch.from_numpy(digits).to(model.numbers.device)])
    logits = _next(model, inputs, own)[:, : len(model.numbers)]
    chance: np.ndarray = logits.softmax(dim=-1).cpu().numpy()
    return chance


def _next(model: SpectrumLlm, inputs: Tensor, cache: DynamicCache) -> Tensor:
    """(n, tokens) logits of what follows ``inputs`` (n, length, hidden); tokens: of :func:`weigh_answers_alone`."""
    out = model.llm(inputs_embeds=inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    logits: Tensor = out.logits[:, -1].double()
    return logits
