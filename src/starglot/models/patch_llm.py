"""A language model that reads patch tokens: projector, base with adapters, and what stands around the spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from starglot.config.patches import Patches
from starglot.errors import StarglotError
from starglot.hashing import file_digest
from starglot.language.number_answers import NumberScale
from starglot.language.patch_prompt import Prompt
from starglot.models.projector import Projector
from starglot.tables import atomic_path

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

#: The projector's file, beside the adapter's.
PROJECTOR_FILE = "projector.safetensors"


class Reading(NamedTuple):
    """What answers say: values and standard deviations (n, labels) in the labels' units; code (n,) of the class, -1
    where the form tells none."""

    value: np.ndarray
    sigma: np.ndarray
    code: np.ndarray


class SpectrumLlm(nn.Module):
    """Projector and causal language model; its state is what is trained, and the base stays out of it."""

    before: Tensor
    behind: Tensor
    numbers: Tensor

    def __init__(self, projector: Projector, llm: PreTrainedModel | PeftModel, prompt: Prompt):
        super().__init__()
        self.projector, self.prompt = projector, prompt
        self.llm: Any = llm
        self.config = llm.config
        for name, ids in (("before", prompt.before), ("behind", prompt.behind), ("numbers", prompt.answer.numbers)):
            self.register_buffer(name, torch.as_tensor(np.asarray(ids, np.int64)), persistent=False)

    def forward(self, fine: Tensor, coarse: Tensor, answer: Tensor) -> Tensor:
        """(n, length, vocabulary) logits that predict the ids of ``answer`` (n, length) for pixels (n, size) and
        coarse values (n, coarse)."""
        inputs = torch.cat([self._prompt(fine, coarse), self._embed(answer[:, :-1])], dim=1)
        logits: Tensor = self.llm(inputs_embeds=inputs, use_cache=False, logits_to_keep=answer.shape[1]).logits
        return logits

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.llm.get_input_embeddings()(ids)
        return embedded

    def _prompt(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return torch.cat([self._embed(self.before.expand(len(fine), -1)), self._spectrum(fine, coarse)], dim=1)

    def _spectrum(self, fine: Tensor, coarse: Tensor) -> Tensor:
        behind = self._embed(self.behind.expand(len(fine), -1))
        return torch.cat([self.projector(fine, coarse).to(behind.dtype), behind], dim=1)

    # ------------------------------------------------------------ answers

    @torch.no_grad()
    def read(self, fine: Tensor, coarse: Tensor, scales: Mapping[str, NumberScale]) -> Reading:
        """Answers, step by step on one cache: the form's text is given, so every answer can be read.

        At a number the value is the mean of the distribution over number tokens and sigma its standard deviation;
        the token nearest to the mean is what later steps see.  At the class the likeliest letter stands.
        """
        from transformers import DynamicCache

        answer, n = self.prompt.answer, len(fine)
        value, sigma = np.full((n, len(answer.labels)), np.nan), np.full((n, len(answer.labels)), np.nan)
        code = np.full(n, -1)
        stops = sorted([*answer.slots.tolist(), *([] if answer.letter is None else [answer.letter])])
        column = {int(place): j for j, place in enumerate(answer.slots)}
        scale = [scales[label] for label in answer.labels]
        grid = torch.arange(len(self.numbers), dtype=torch.float64, device=fine.device)
        fixed = torch.as_tensor(answer.ids, device=fine.device)
        cache = DynamicCache(config=self.llm.config)
        self.llm(
            inputs_embeds=self._embed(self.before[None]), past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        cache.batch_repeat_interleave(n)  # what stands before the spectrum is the same for all
        said = torch.empty((n, 0), dtype=torch.long, device=fine.device)
        written = 0
        for place in stops:
            text = torch.cat([said, fixed[written:place].expand(n, -1)], dim=1)
            inputs = self._embed(text)
            if not written:
                inputs = torch.cat([self._spectrum(fine, coarse), inputs], dim=1)
            out = self.llm(inputs_embeds=inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
            logits = out.logits[:, -1].double()
            if place in column:
                chance = logits[:, self.numbers].softmax(dim=-1)
                mean = chance @ grid
                spread = (chance * (grid - mean[:, None]) ** 2).sum(dim=-1).sqrt()
                j = column[place]
                value[:, j] = scale[j].low + scale[j].step * mean.cpu().numpy()
                sigma[:, j] = scale[j].step * spread.cpu().numpy()
                said = self.numbers[mean.round().long()][:, None]
            else:
                letters = torch.as_tensor(answer.letters, device=fine.device)
                likeliest = logits[:, letters].argmax(dim=-1)
                code, said = likeliest.cpu().numpy(), letters[likeliest][:, None]
            written = place + 1
        return Reading(value, sigma, code)

    # ------------------------------------------------------------ what is trained

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Recompute the base's activations, as the Trainer asks for it."""
        self.llm.get_base_model().activation_checkpointing_enable(**options)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Weights of projector and adapters, and the projector's statistics; none of the frozen base."""
        trained = {name for name, weight in self.named_parameters() if weight.requires_grad}
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if name in trained or name.startswith("projector.")}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """The inverse of :meth:`state_dict`; the base stays as it is."""
        missing = set(self.state_dict()) - set(state_dict)
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        if strict and (missing or result.unexpected_keys):
            raise RuntimeError(f"not this model's weights: {sorted([*missing, *result.unexpected_keys])[:3]}")
        return type(result)(sorted(missing), result.unexpected_keys)


def width_of(llm: Any) -> int:
    """Numbers of a base's token."""
    return int(llm.get_input_embeddings().weight.shape[1])


def token_size(llm: Any) -> float:
    """Standard deviation of the numbers of a base's own tokens: those of a spectrum begin in the same size."""
    return float(llm.get_input_embeddings().weight.detach().float().std())


def save_projector(projector: Projector, folder: Path) -> None:
    """Write the projector's weights and statistics to its file in ``folder``."""
    state = {name: value.detach().cpu().contiguous() for name, value in sorted(projector.state_dict().items())}
    with atomic_path(Path(folder) / PROJECTOR_FILE) as partial:
        save_file(state, str(partial))


def load_projector(
    settings: Patches, size: int, hidden: int, folder: Path, manifest: Mapping[str, Any] | None = None
) -> Projector:
    """The projector that was saved in ``folder``; manifest: of its model, which names it by its digest.

    Raises StarglotError when it cannot be read, is not the one that was trained, or is one of other settings, another
    grid or another width.
    """
    path = Path(folder) / PROJECTOR_FILE
    try:
        state = load_file(str(path))
        named = (manifest or {}).get("files", {}).get(PROJECTOR_FILE)
        if named is not None and file_digest(path) != named:
            raise StarglotError(
                "the projector is not the one that was trained",
                where=path,
                allowed="the file that its manifest.json names by its digest",
                todo="put it back, or train the model again: snakemake train",
            )
    except (OSError, SafetensorError) as error:
        raise StarglotError(
            f"the projector cannot be read: {error}", where=path, todo="train the model first: snakemake train"
        ) from error
    projector = Projector(settings, size, hidden, 1.0)
    own = projector.state_dict()
    other = sorted(
        name
        for name in {*own, *state}
        if name not in own or name not in state or own[name].shape != state[name].shape
    )
    if other:
        raise StarglotError(
            f"the projector is one of other patches, another grid or another base: '{other[0]}' differs",
            where=path,
            allowed=f"patches of {settings.width} values on a grid of {size}, for a base of width {hidden}",
            todo="give both models the same encoding, recipe and base, or leave out `init`",
        )
    projector.load_state_dict(state)
    return projector
