"""Settings of a language model that is taught, without labels, to fill in hidden patches of spectra."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from starglot.config.bases.encoders import EncoderTraining
from starglot.config.kinds.llm import Lora
from starglot.config.kinds.patch_llm import PixelAugment
from starglot.config.strict import BaseSettings, Needs, PathOrId


class PatchBaseTraining(EncoderTraining):
    """How projector and language model learn to fill in patches."""

    epochs: int = Field(20, ge=1, description="Passes over the training spectra.")
    batch: int = Field(32, ge=2, description="Spectra per step.")
    learning_rate: float = Field(1e-3, gt=0, description="At its highest, of projector and adapters.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW.")
    warmup: float = Field(
        0.05, ge=0, lt=1, description="Fraction of the steps over which the rate rises; cosine only."
    )
    augment: PixelAugment = PixelAugment()


class MaskedPatchesBase(BaseSettings):
    """A language model, and its projector, that have learnt to fill in hidden patches of a view's spectra.

    They learn from cleaned spectra without labels, those of test stars left out; models of kind patch_llm stand on
    it, of the same encoding."""

    needs: ClassVar[Needs | None] = "spectra and base"

    kind: Literal["masked_patches"] = Field(
        description="Its adapters are merged into it in the end; a model on it begins with its projector."
    )
    view: str = Field(description="The survey and recipe whose spectra it learns from: 'lamost/paper'.")
    base: PathOrId = Field(
        description="What it goes on from: a name under `bases` (random or like), a folder, or a Hugging Face id."
    )
    revision: str | None = Field(
        None, min_length=1, description="Commit, tag or branch of a Hugging Face id; null: main, as last fetched."
    )
    encoding: str = Field(description="A name under `encodings`, of form patches; models on this base use the same.")
    hidden: float = Field(0.25, gt=0, lt=1, description="Share of a spectrum's patches that are hidden.")
    lora: Lora = Lora(rank=16, alpha=32, dropout=0.0)
    training: PatchBaseTraining = PatchBaseTraining()
    gpus: int = Field(
        1, ge=0, description="GPUs of one node that train it, each on its part of every step's spectra; 0: the CPU."
    )
    seed: int = Field(0, description="First weights, order, changes, and what is hidden.")
