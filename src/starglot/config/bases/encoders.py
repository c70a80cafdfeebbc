"""Settings of encoders of spectra: bases that are pre-trained without labels on the spectra of a view."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from starglot.config.kinds.baselines import Epochs
from starglot.config.strict import BaseSettings, Needs
from starglot.config.transfer import Transfer


class EncoderTraining(Epochs):
    """How an encoder is trained; defaults are those of SpecCLIP's encoder of LAMOST spectra."""

    epochs: int = Field(100, ge=1, description="Passes over the training spectra.")
    batch: int = Field(512, ge=2, description="Spectra per step.")
    learning_rate: float = Field(1e-5, gt=0, description="At its highest; small encoders learn faster with 1e-3.")
    weight_decay: float = Field(0.1, ge=0, description="AdamW.")
    schedule: Literal["plateau", "cosine"] = Field("cosine", description="As for networks.")
    warmup: float = Field(
        0.01, ge=0, lt=1, description="Fraction of the steps over which the rate rises; cosine only."
    )
    stop_after: int | None = Field(None, ge=1, description="As for networks; null: never.")
    clip: float | None = Field(1.0, gt=0, description="Longest gradient of a step; null: as it comes.")


class EncoderTransfer(Transfer):
    """How an encoder goes on from the one that its `init` names."""

    strategy: Literal["full", "lora"] = Field(
        "full", description="full: all weights go on learning; lora: low-rank updates, merged in the end."
    )
    rank: int = Field(4, ge=1, le=1024, description="Rank of the updates; lora only.")
    alpha: int = Field(8, ge=1, description="Scale: an update is multiplied by alpha / rank; lora only.")
    layers: list[str] = Field(
        ["*"],
        min_length=1,
        description="Names of the dense layers that are updated, with * and ? as in file names; lora only. Attention "
        "of a masked encoder: 'blocks.*.attention.*'.",
    )


class EncoderBase(BaseSettings):
    """What encoders have in common.  They learn from the cleaned spectra of a view, those of test stars left out."""

    needs: ClassVar[Needs | None] = "spectra"

    view: str = Field(description="The survey and recipe whose spectra it learns from: 'lamost/blue'.")
    width: int = Field(768, ge=1, description="Numbers of an embedding.")
    training: EncoderTraining = EncoderTraining()
    init: str | None = Field(
        None,
        description="Another encoder of the same kind, sizes and grid, from which it goes on: of another view, which "
        "it becomes used to without labels.",
    )
    transfer: EncoderTransfer | None = Field(None, description="How it goes on from `init`; null: full.")
    gpus: int = Field(
        1, ge=0, description="GPUs of one node that train it, each on its part of every step's spectra; 0: the CPU."
    )
    seed: int = Field(0, description="First weights, order, and what is hidden.")


class MaskedEncoderBase(EncoderBase):
    """A transformer that fills in hidden pieces of a spectrum (SpecCLIP's encoder of LAMOST spectra)."""

    kind: Literal["masked_encoder"] = Field(description="Its embedding is the mean over all tokens.")
    blocks: int = Field(6, ge=1, description="Transformer blocks.")
    heads: int = Field(6, ge=1, description="Attention heads; must divide the width.")


class AutoencoderBase(EncoderBase):
    """A dense autoencoder of spectra (SpecCLIP's encoder of Gaia XP spectra)."""

    kind: Literal["autoencoder"] = Field(description="Its embedding is the latent vector.")
    hidden: int = Field(1290, ge=1, description="Width of the layers around the latent vector.")
