"""A language model that reads patch tokens: projector, base with adapters, and what stands around the spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import DynamicCache

from starglot.config.patches import Patches
from starglot.errors import StarglotError
from starglot.language.patch_prompt import Prompt
from starglot.models.bases import check_file
from starglot.models.projector import Projector
from starglot.tables import atomic_path

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

#: The projector's file, beside the adapter's.
PROJECTOR_FILE = "projector.safetensors"


class TrainedPart(nn.Module):
    """A network with a ``projector`` and a frozen base: its state is what is trained, without the base."""

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """All that is trained, and the projector's statistics; none of the frozen base."""
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


class SpectrumLlm(TrainedPart):
    """Projector and causal language model that answers."""

    before: Tensor
    behind: Tensor
    numbers: Tensor

    def __init__(self, projector: Projector, llm: PreTrainedModel | PeftModel, prompt: Prompt):
        super().__init__()
        self.projector, self.prompt = projector, prompt
        self.llm: Any = llm
        self.config = llm.config
        drops = any(isinstance(each, nn.Dropout) and each.p > 0 for each in llm.modules())
        # Recomputed activations take no cache, and dropout is each spectrum's own, in the question as well.
        self.question_by_itself = not drops
        for name, ids in (("before", prompt.before), ("behind", prompt.behind), ("numbers", prompt.answer.numbers)):
            self.register_buffer(name, torch.as_tensor(np.asarray(ids, np.int64)), persistent=False)

    def forward(
        self,
        fine: Tensor,
        coarse: Tensor,
        answer: Tensor,
        changed: Tensor | None = None,
        embedded: Tensor | None = None,
    ) -> Tensor:
        """(n, length, vocabulary) logits that predict the ids of ``answer`` (n, length) for pixels (n, size) and
        coarse values (n, coarse); changed, embedded: as the projector takes them."""
        spectrum = self.spectrum(fine, coarse, changed, embedded)
        said = self.embed(answer[:, :-1])
        length = answer.shape[1]
        if not self.question_by_itself:
            inputs = torch.cat([self._question(len(fine)), spectrum, said], dim=1)
            logits: Tensor = self.llm(inputs_embeds=inputs, use_cache=False, logits_to_keep=length).logits
            return logits
        inputs = torch.cat([spectrum, said], dim=1)
        cache = self.question_read(len(fine))
        logits = self.llm(inputs_embeds=inputs, past_key_values=cache, use_cache=True, logits_to_keep=length).logits
        return logits

    def question_read(self, n: int) -> DynamicCache:
        """What the base makes of the question up to the spectrum, for ``n`` spectra: made once for all."""
        cache = DynamicCache(config=self.llm.config)
        self.llm(inputs_embeds=self._question(1), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(n)
        return cache

    def embed(self, ids: Tensor) -> Tensor:
        """Tokens (n, length, hidden) of ids (n, length), by the base's own embedding."""
        embedded: Tensor = self.llm.get_input_embeddings()(ids)
        return embedded

    def _question(self, n: int) -> Tensor:
        return self.embed(self.before.expand(n, -1))

    def spectrum(
        self, fine: Tensor, coarse: Tensor, changed: Tensor | None = None, embedded: Tensor | None = None
    ) -> Tensor:
        """Tokens of spectra and of what stands behind them, up to the answer."""
        behind = self.embed(self.behind.expand(len(fine), -1))
        return torch.cat([self.projector(fine, coarse, changed, embedded).to(behind.dtype), behind], dim=1)

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Recompute the base's activations, as the Trainer asks for it."""
        self.question_by_itself = False
        self.llm.get_base_model().activation_checkpointing_enable(**options)


def width_of(llm: Any) -> int:
    """Numbers of a base's token."""
    return int(llm.get_input_embeddings().weight.shape[1])


def token_size(llm: Any) -> float:
    """Standard deviation of the numbers of a base's own tokens: those of a spectrum begin in the same size."""
    return float(llm.get_input_embeddings().weight.detach().float().std())


def labels_of(manifest: Mapping[str, Any]) -> list[str]:
    """The labels that a model of this manifest answers, in order; none, of an empty one, or of a base's."""
    labels: list[str] = manifest["task"]["question"]["labels"] if "task" in manifest else []
    return labels


def embedded_by(manifest: Mapping[str, Any]) -> int:
    """Numbers of the embeddings that a model of this manifest reads beside its patches; 0 of one that reads none."""
    numbers: int = manifest.get("embedding", {}).get("numbers", 0)
    return numbers


def save_projector(projector: Projector, folder: Path) -> None:
    """Write the projector's weights and statistics to its file in ``folder``."""
    state = {name: value.detach().cpu().contiguous() for name, value in sorted(projector.state_dict().items())}
    with atomic_path(Path(folder) / PROJECTOR_FILE) as partial:
        save_file(state, str(partial))


def load_projector(settings: Patches, size: int, hidden: int, folder: Path, manifest: Mapping[str, Any]) -> Projector:
    """The projector that was saved in ``folder``; manifest: of its model, which names it by its digest and has its
    task.

    Raises StarglotError when it cannot be read, is not the one that was trained, or is one of other settings, another
    grid or another width.
    """
    path = Path(folder) / PROJECTOR_FILE
    try:
        state = load_file(str(path))
        check_file(Path(folder), PROJECTOR_FILE, manifest)
    except (OSError, SafetensorError) as error:
        raise StarglotError(
            f"the projector cannot be read: {error}", where=path, todo="train the model first: snakemake train"
        ) from error
    labels, embedded = len(labels_of(manifest)), embedded_by(manifest)
    projector = Projector(settings, size, hidden, 1.0, labels=labels, embedded=embedded)
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
            allowed=f"patches of {settings.width} values on a grid of {size}, for a base of width {hidden}, "
            f"{'without' if settings.estimates is None else 'with'} estimates",
            todo="give both models the same encoding, recipe and base, or leave out `init`",
        )
    projector.load_state_dict(state)
    return projector
