"""Answers of a language model that reads patch tokens: values, their standard deviations and classes of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from starglot.language.number_answers import NumberScale
from starglot.models.patch_llm import SpectrumLlm


class Reading(NamedTuple):
    """What answers say: values and standard deviations (n, labels) in the labels' units; code (n,) of the class, -1
    where the form tells none."""

    value: np.ndarray
    sigma: np.ndarray
    code: np.ndarray


@torch.no_grad()
def read_answers(model: SpectrumLlm, fine: Tensor, coarse: Tensor, scales: Mapping[str, NumberScale]) -> Reading:
    """Answers to pixels (n, size) and coarse values (n, coarse), step by step on one cache.

    The form's text is given, so that every answer can be read.  At a number the value is the mean of the distribution
    over number tokens and sigma its standard deviation; later steps see the token nearest to the mean.  At the class
    the likeliest letter stands.
    """
    answer, n = model.prompt.answer, len(fine)
    value, sigma = np.full((n, len(answer.labels)), np.nan), np.full((n, len(answer.labels)), np.nan)
    code = np.full(n, -1)
    stops = sorted([*answer.slots.tolist(), *([] if answer.letter is None else [answer.letter])])
    column = {int(place): j for j, place in enumerate(answer.slots)}
    scale = [scales[label] for label in answer.labels]
    grid = torch.arange(len(model.numbers), dtype=torch.float64, device=fine.device)
    fixed = torch.as_tensor(answer.ids, device=fine.device)
    cache = DynamicCache(config=model.llm.config)
    model.llm(inputs_embeds=model.embed(model.before[None]), past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(n)  # what stands before the spectrum is the same for all
    said = torch.empty((n, 0), dtype=torch.long, device=fine.device)
    written = 0
    for place in stops:
        text = torch.cat([said, fixed[written:place].expand(n, -1)], dim=1)
        inputs = model.embed(text)
        if not written:
            inputs = torch.cat([model.spectrum(fine, coarse), inputs], dim=1)
        out = model.llm(inputs_embeds=inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = out.logits[:, -1].double()
        if place in column:
            chance = logits[:, model.numbers].softmax(dim=-1)
            mean = chance @ grid
            spread = (chance * (grid - mean[:, None]) ** 2).sum(dim=-1).sqrt()
            j = column[place]
            value[:, j] = scale[j].low + scale[j].step * mean.cpu().numpy()
            sigma[:, j] = scale[j].step * spread.cpu().numpy()
            said = model.numbers[mean.round().long()][:, None]
        else:
            letters = torch.as_tensor(answer.letters, device=fine.device)
            likeliest = logits[:, letters].argmax(dim=-1)
            code, said = likeliest.cpu().numpy(), letters[likeliest][:, None]
        written = place + 1
    return Reading(value, sigma, code)
