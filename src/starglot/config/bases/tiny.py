"""Settings of the small language models that demonstrations stand on."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from starglot.config.strict import Needs, PretrainedBase


class LanguageBase(PretrainedBase):
    """What the settings of all language models have in common that are pre-trained here on training flux."""

    needs: ClassVar[Needs | None] = "questions"

    encoding: str = Field(description="A name under `encodings`; models on this base use the same.")
    hidden: int = Field(128, ge=16, description="Width.")
    layers: int = Field(4, ge=1, description="Transformer layers.")
    heads: int = Field(8, ge=1, description="Attention heads; must divide the width.")
    rope_theta: float = Field(1000.0, gt=0, description="Rotary base; small, as prompts are short.")
    examples: int = Field(
        4800, ge=16, description="Spectra seen, each asked several pseudo-questions; more is better."
    )
    per_spectrum: int = Field(
        4, ge=1, description="Pseudo-questions about one spectrum; they share the prompt's cost."
    )
    questions: int = Field(8, ge=1, le=26, description="Different pseudo-questions besides the first.")
    components: int = Field(16, ge=3, description="Principal components of the flux that are asked about.")
    windows: int = Field(64, ge=0, description="Contrasts of a window with its neighbours that are asked about.")
    named: float = Field(0.2, ge=0, le=1, description="Fraction of the further answers in the form of stage 2 ...")
    names: int = Field(4, ge=1, le=21, description="... and how many labels such an answer names.")
    noise: float = Field(0.0, ge=0, le=1, description="As `noise` in a model's `augment`.")
    tilt: float = Field(0.0, ge=0, le=1, description="As `tilt` in a model's `augment`.")
    batch: int = Field(16, ge=1, description="Examples per step.")
    learning_rate: float = Field(2e-3, gt=0, description="AdamW, cosine.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Fraction of steps.")
    seed: int = Field(0, description="Weights, pseudo-questions and order.")


class TinyBase(LanguageBase):
    """A tiny Llama for demonstrations, pre-trained without labels on training flux: no general language model."""

    kind: Literal["tiny"] = Field(description="Made in minutes on a CPU.")
