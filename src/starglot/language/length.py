"""Whether question and answer fit the positions of a base, and what a flux value costs in its tokens."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from starglot.errors import StarglotError
from starglot.language.tokens import PromptTokens

log = logging.getLogger(__name__)

#: Tokenizers that name no limit name this or more.
_NO_LIMIT = 10**9
#: Tokens a value that still count as one: a tokenizer may write the first or the last in two.
_ONE = 1.01


def positions(config: Any) -> int | None:
    """The most tokens that a base was made for; None for one that knows no limit.

    config: of transformers.  Where the rotary positions are stretched from an original number, the larger of the
    stretched number and ``max_position_embeddings``: some bases count the stretch in the latter, others do not.
    """
    own = config.get_text_config()
    most: int | None = getattr(own, "max_position_embeddings", None)
    rope = getattr(own, "rope_parameters", None) or {}
    for each in [rope, *(value for value in rope.values() if isinstance(value, Mapping))]:
        factor, original = each.get("factor"), each.get("original_max_position_embeddings")
        if factor and original:
            most = max(most or 0, int(factor * original))
    return most


def window(config: Any) -> int | None:
    """How far back every layer of a base sees, where that has a limit; None where some layer sees all."""
    own = config.get_text_config()
    width: int | None = getattr(own, "sliding_window", None)
    kinds = getattr(own, "layer_types", None) or ["sliding_attention"]
    if not width or getattr(own, "use_sliding_window", True) is False or set(kinds) != {"sliding_attention"}:
        return None
    return width


def check_length(prompt: int, answer: int, tokens: PromptTokens, config: Any, base: object) -> None:
    """Raise StarglotError when a prompt and its answer, in tokens, are longer than the base's positions.

    tokens: of the base's tokenizer; config: of transformers; base: its name, for the message.  A base that names no
    positions has its tokenizer's limit.
    """
    most = positions(config) or tokens.tokenizer.model_max_length
    if most >= _NO_LIMIT or prompt + answer <= most:
        return
    cost, codec = tokens.per_value(), tokens.codec
    raise StarglotError(
        f"a question ({prompt} tokens) and its answer ({answer}) are longer than the base's {most} positions",
        where=base,
        allowed=f"{most} tokens together; each of a spectrum's {codec.n_values} values takes {cost:.3g} tokens "
        f"with this base's tokenizer (form: {codec.encoding.form})",
        todo=_todo(prompt, answer, cost, most, tokens),
    )


def warn_of_length(prompt: int, answer: int, tokens: PromptTokens, config: Any, base: object) -> None:
    """Log what is no fault but costs time or accuracy; parameters as for :func:`check_length`.

    Packed values of more than a token each, a limit of the tokenizer's below the prompt (it counts for nothing here),
    attention that in no layer reaches back to the prompt's beginning.
    """
    cost, own, reach = tokens.per_value(), tokens.tokenizer.model_max_length, window(config)
    if tokens.codec.form.width and cost > _ONE:
        log.warning(
            "a packed value takes %.3g tokens with the tokenizer of %s (1 with Llama 3's): a question has %d tokens",
            cost,
            base,
            prompt,
        )
    if prompt + answer > own:
        log.warning("the tokenizer of %s names %d tokens as its most, and a question has %d", base, own, prompt)
    if reach is not None and prompt + answer > reach:
        log.warning("a layer of %s sees the last %d tokens only, and a question has %d", base, reach, prompt)


def _todo(prompt: int, answer: int, cost: float, most: int, tokens: PromptTokens) -> str:
    ways = ["name a base with more positions, or one whose tokenizer keeps three digits together (as Llama 3's)"]
    encoding, flux = tokens.codec.encoding, cost * tokens.codec.n_bins
    room = most - answer - (prompt - flux)
    if room > cost:
        ways.insert(0, f"write fewer values (`bin: {encoding.bin * math.ceil(flux / room)}` in the encoding)")
    if not tokens.codec.form.width:
        ways.insert(0, "take the packed form, which is shorter (`form: packed`)")
    return ", ".join(ways[:-1]) + (", or " if ways[1:] else "") + ways[-1]
