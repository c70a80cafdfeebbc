"""Settings of encoders of spectra: bases that are pre-trained without labels on the spectra of a view."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from starglot.config.baselines import Epochs
from starglot.config.strict import BaseSettings


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


class EncoderBase(BaseSettings):
    """What encoders have in common.  They learn from the cleaned spectra of a view, those of test stars left out."""

    view: str = Field(description="The survey and recipe whose spectra it learns from: 'lamost/blue'.")
    width: int = Field(768, ge=1, description="Numbers of an embedding.")
    training: EncoderTraining = EncoderTraining()
    gpus: int = Field(1, ge=0, le=1, description="1 trains on a GPU, 0 on the CPU.")
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
