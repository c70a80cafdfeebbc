"""Settings of bases that are made, not trained: a tiny one with random weights, others like a given one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from starglot.config.strict import BaseSettings, PathOrId


class RandomBase(BaseSettings):
    """A tiny Llama with random weights and number tokens in their order, for patch tokens: no language model."""

    kind: Literal["random"] = Field(description="Made in a second on a CPU; nothing is trained.")
    hidden: int = Field(128, ge=16, description="Width.")
    layers: int = Field(4, ge=1, description="Transformer layers.")
    heads: int = Field(4, ge=1, description="Attention heads; must divide the width.")
    rope_theta: float = Field(1000.0, gt=0, description="Rotary base; small, as prompts are short.")
    seed: int = Field(0, description="Weights.")
    forms: dict[str, list[str]] = Field(
        {},
        description="Forms of question beyond the paper's two, with their labels, whose words are to be tokens of "
        "their own; others are spelt out, letter by letter, at twice the cost.",
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `forms` where there are none: a base of the paper's forms is the one that it was before."""
        return {name: value for name, value in handler(self).items() if name != "forms" or value}


class LikeBase(BaseSettings):
    """A base in the shape of another one, with its tokenizer and its tokens' vectors.

    A control, which shows what that one's layers have learnt; or its first layers."""

    kind: Literal["like"] = Field(description="Made of another base on a CPU; nothing is trained.")
    base: PathOrId = Field(description="A folder or a Hugging Face id.")
    revision: str | None = Field(
        None, min_length=1, description="Commit, tag or branch of a Hugging Face id; null: main, as last fetched."
    )
    layers: int | None = Field(None, ge=1, description="Its first layers, so many of them; null: all.")
    weights: Literal["own", "random", "shuffled"] = Field(
        description="Of its layers: as they are; drawn anew, as before any training; or the numbers of each matrix "
        "and vector in another order. Embedding and output layer are its own in all three."
    )
    seed: int = Field(0, description="Draws and orders.")
