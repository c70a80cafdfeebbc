"""An untrained tiny Llama for demonstrations on a CPU: the architecture of Llama 3 with a million parameters.

Number tokens start as smooth functions of their value, in the embedding and in the output layer: ``427`` lies next to
``428`` before any training, which a model of this size would otherwise spend its whole budget on finding out.
It is no general language model, and nothing that it learns carries over to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starglot.config.bases.tiny import LanguageBase
from starglot.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from starglot.config.bases.random import RandomBase

#: Standard deviations at the start: other weights, rows of the embedding, rows of the output layer.
_WEIGHT_STD, _EMBEDDING_STD, _HEAD_STD = 0.08, 0.5, 0.1
#: Harmonics of a number token's features, and the exponent with which they fade.
_HARMONICS, _FADE = 24, 0.7
#: How far a prompt and all its answers may reach, in tokens.
_MAX_POSITIONS = 16384


def build_tiny(settings: LanguageBase | RandomBase, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A tiny Llama with random weights and number tokens that know their order.

    The random state is set from ``settings.seed``, so the same settings give the same weights.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    set_seed(settings.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=max(16, int(2.5 * settings.hidden) // 16 * 16),
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=_MAX_POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": settings.rope_theta},
        tie_word_embeddings=False,
        initializer_range=_WEIGHT_STD,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        weights = model.state_dict()
        embedding, head = weights["model.embed_tokens.weight"], weights["lm_head.weight"]
        embedding.mul_(_EMBEDDING_STD / _WEIGHT_STD)
        head.mul_(_HEAD_STD / _WEIGHT_STD)
        _order_numbers(embedding, tokenizer, _EMBEDDING_STD, settings.seed)
        _order_numbers(head, tokenizer, _HEAD_STD, settings.seed)
    return model


def _order_numbers(rows: Tensor, tokenizer: PreTrainedTokenizerFast, std: float, seed: int) -> None:
    """Overwrite, in place, the rows of '000' to '999' and of '0' to '9' with smooth features of their value.

    rows: (vocabulary, hidden).  A digit shares the features of the middle of its hundred, with noise of its own so
    that it stays apart from the three-digit tokens there.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    value = torch.arange(1000) / 1000.0
    order = torch.arange(1, _HARMONICS + 1).float()
    phase = math.pi * order * value[:, None]
    features = torch.cat(
        [
            torch.ones(1000, 1),
            6.0 * (value[:, None] - 0.5),
            torch.cos(phase) / order**_FADE,
            torch.sin(phase) / order**_FADE,
        ],
        dim=1,
    )
    smooth = features @ torch.randn(features.shape[1], rows.shape[1], generator=generator)
    smooth = smooth * (std / smooth.std())
    rows[tokenizer.convert_tokens_to_ids([f"{number:03d}" for number in range(1000)])] = smooth
    noise = 0.5 * std * torch.randn(10, rows.shape[1], generator=generator)
    rows[tokenizer.convert_tokens_to_ids([str(digit) for digit in range(10)])] = smooth[50::100] + noise


#: What makes the untrained network of each kind of base, of its settings and the tokenizer.
BASE_NETWORKS: Registry[Callable[[Any, Any], Any]] = Registry({"tiny": build_tiny})
