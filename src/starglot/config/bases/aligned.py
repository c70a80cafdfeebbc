"""Settings of an aligned pair of encoders: two views of a star are brought to one place."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from starglot.config.bases.encoders import EncoderTraining, EncoderTransfer
from starglot.config.strict import BaseSettings, Needs


class AlignedTraining(EncoderTraining):
    """How projection heads are trained; defaults are those of SpecCLIP's public configuration."""

    batch: int = Field(1024, ge=2, description="Pairs per step, each the wrong answer for all others.")
    learning_rate: float = Field(1e-4, gt=0, description="At its highest; small heads learn faster with 1e-3.")
    weight_decay: float = Field(0.05, ge=0, description="AdamW.")
    warmup: float = Field(
        0.1, ge=0, lt=1, description="Fraction of the steps over which the rate rises; cosine only."
    )
    stop_after: int | None = Field(20, ge=1, description="As for networks; null: never.")


class AlignedBase(BaseSettings):
    """Two frozen encoders, and heads by which the spectra of a star in two views come to lie together (SpecCLIP)."""

    needs: ClassVar[Needs | None] = "pairs"

    kind: Literal["aligned"] = Field(description="Contrastive: of all pairs of a step, which belong together.")
    pairs: str = Field(description="A name under `pairs`: what it learns from, test stars left out.")
    encoders: tuple[str, str] = Field(description="Encoders under `bases` of the first and of the second view.")
    shared: int = Field(768, ge=1, description="Numbers of an embedding that are compared with the other view's.")
    own: int = Field(
        0,
        ge=0,
        description="Further numbers, the view's own. With any, decoders learn to give the spectrum from both parts, "
        "and that of the other view from the shared part (SpecCLIP's split: 512 shared, 256 own). 0: none.",
    )
    heads: int = Field(4, ge=1, description="Attention heads on tokens; the own part has half as many.")
    hidden: int = Field(1160, ge=1, description="Width of the dense layers on a latent vector.")
    dropout: float = Field(0.1, ge=0, lt=1, description="In heads and decoders.")
    scale: float = Field(15.5, gt=0, description="What cosines are multiplied by in the loss; fixed.")
    training: AlignedTraining = AlignedTraining()
    init: str | None = Field(
        None,
        description="Another aligned base of the same sizes, from whose heads it goes on: with pairs of another "
        "survey, or encoders that went on from the other's.",
    )
    transfer: EncoderTransfer | None = Field(
        None,
        description="How it goes on from `init`; null: full. Layers of the first view's head: 'shared.0.*'.",
    )
    gpus: int = Field(
        1,
        ge=0,
        description="GPUs of one node that train it, each on its part of every step's pairs; 0: the CPU. With an own "
        "part one at most, as its decoders normalise over the pairs of a step.",
    )
    seed: int = Field(0, description="First weights, order and dropout.")

    @model_validator(mode="after")
    def _several_gpus_have_no_decoders(self) -> Self:
        if self.own and self.gpus > 1:
            raise ValueError(f"own: {self.own} trains on one GPU, not on {self.gpus}; set gpus: 1, or own: 0")
        return self
