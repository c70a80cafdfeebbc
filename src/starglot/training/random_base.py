"""Bases that nothing is taught: a tiny one, and others in the shape of one that was taught.

On the tiny one patch tokens of a demonstration stand.  Its number tokens lie in their order
(:mod:`starglot.models.tiny`), and adapters and projector do the rest; statistics fixed in the projector do for it
what pre-training does for a base that reads flux as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starglot.config.bases.random import LikeBase, RandomBase
from starglot.config.tasks import form_task
from starglot.errors import StarglotError
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.models.bases import find_base
from starglot.models.tiny import build_tiny
from starglot.tables import write_json
from starglot.training.delivery import MANIFEST, digests, versions

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def make_random_base(settings: RandomBase, out: Path) -> dict[str, Any]:
    """Write config, weights and tokenizer into ``out``, and the manifest, which it returns, last."""
    out = Path(out)
    (out / MANIFEST).unlink(missing_ok=True)
    tokenizer = build_tokenizer([form_task(form, labels) for form, labels in settings.forms.items()])
    model = build_tiny(settings, tokenizer)
    model.config.use_cache = True
    model.save_pretrained(str(out))
    tokenizer.save_pretrained(str(out))
    note = "random weights, for patch tokens in demonstrations; no language model"
    return _write_manifest(settings, "tiny", note, model, out)


def make_like_base(settings: LikeBase, about: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The same for a base in the shape of another one.

    about: what :func:`starglot.models.bases.describe` says of that one.  Raises StarglotError when it is not there or
    has fewer layers.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    from starglot.models.llm import load_tokenizer

    out = Path(out)
    (out / MANIFEST).unlink(missing_ok=True)
    folder = find_base(about["name"], about["revision"])
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    layers = settings.layers or config.num_hidden_layers
    if layers > config.num_hidden_layers:
        raise StarglotError(
            f"the base has {config.num_hidden_layers} layers, not {layers}",
            where=settings.base,
            allowed=f"1 to {config.num_hidden_layers}",
            todo="lower the base's `layers`",
        )
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    model = AutoModelForCausalLM.from_pretrained(str(folder), config=config, dtype="auto", local_files_only=True)
    _change_layers(model, settings)
    model.save_pretrained(str(out))
    load_tokenizer(folder).save_pretrained(str(out))
    note = f"{settings.weights} weights in the shape of {settings.base}"
    return _write_manifest(settings, "like", note, model, out)


def _change_layers(model: PreTrainedModel, settings: LikeBase) -> None:
    """Give all weights but the embedding's and the output layer's other values, in place."""
    import torch
    from transformers import AutoModelForCausalLM, set_seed

    if settings.weights == "own":
        return
    ends = {
        id(weight)
        for layer in (model.get_input_embeddings(), model.get_output_embeddings())
        if layer
        for weight in layer.parameters()
    }
    set_seed(settings.seed)
    fresh = AutoModelForCausalLM.from_config(model.config) if settings.weights == "random" else None
    drawn = {} if fresh is None else dict(fresh.named_parameters())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if id(weight) in ends:
                continue
            if drawn:
                weight.copy_(drawn[name])
            else:
                weight.copy_(weight.flatten()[torch.randperm(weight.numel())].reshape(weight.shape))


def _write_manifest(
    settings: RandomBase | LikeBase, kind: str, note: str, model: PreTrainedModel, out: Path
) -> dict[str, Any]:
    manifest = {
        "kind": kind,
        "note": note,
        "base": settings.model_dump(),
        "counts": {
            "vocabulary": model.config.vocab_size,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
        "seed": settings.seed,
        "versions": versions(),
        "files": digests([path for path in sorted(out.iterdir()) if path.is_file() and path.name != MANIFEST]),
    }
    write_json(manifest, out / MANIFEST)
    return manifest
