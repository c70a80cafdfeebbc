"""Settings of language models that read patch tokens: what is trained, on which losses, how spectra are varied."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from starglot.config.by_size import KEYS_GIVEN
from starglot.config.kinds.llm import AdaptedBase, Lora, Training
from starglot.config.strict import Augment, Strict


class PixelAugment(Augment):
    """Changes drawn anew at each pass over a training spectrum; 0 switches one off (ours)."""

    noise: float = Field(0.7, ge=0, le=10, description="Noise added to a pixel, in units of its own.")
    tilt: float = Field(0.3, ge=0, le=10, description="Slope and bend of the coarse log flux; 1: 0.05 of its range.")
    velocity: float = Field(50.0, ge=0, le=1000, description="Scatter of a shift by radial velocity (km/s).")
    gaps: float = Field(0.0, ge=0, le=20, description="Windows without flux in a spectrum, on average ...")
    gap_width: int = Field(100, ge=1, description="... and the most grid values of one.")


class Lines(Strict):
    """Synthetic spectra that teach estimates of [X/Fe] which lines are an element's own (ours)."""

    task: str = Field(
        description="Task of synthetic spectra whose abundances are drawn independently; besides these it asks for "
        "teff, logg and feh."
    )
    size: str = Field(description="Size of its sample.")
    altered: float = Field(0.6, gt=0, le=1, description="Share of altered spectra among those that are learnt.")
    elements: float = Field(0.2, gt=0, le=1, description="Chance that an element of an altered spectrum changes ...")
    reach: float = Field(0.6, gt=0, le=2, description="... by so much at most, to both sides (dex).")
    scatter: float = Field(
        0.04, ge=0, le=1, description="Scatter of small changes of all elements, in every spectrum (dex)."
    )
    synthetic_passes: int = Field(60, ge=1, description="Passes over the synthetic spectra.")
    passes: int = Field(100, ge=1, description="Passes over the altered training spectra.")


class EstimateTraining(Strict):
    """How the network behind the estimates of an encoding is taught, before all else (ours)."""

    passes: int = Field(40, ge=1, description="Passes over the training spectra.")
    copies: int = Field(8, ge=0, le=100, description="Changed versions of each spectrum (`augment`), beside itself.")
    batch: int = Field(64, ge=1, description="Spectra a step.")
    learning_rate: float = Field(3e-3, gt=0, description="AdamW.")
    weight_decays: list[Annotated[float, Field(ge=0)]] = Field(
        [0.5, 4.0], min_length=1, description="AdamW; validation spectra choose."
    )
    spectra: int = Field(50_000, ge=1, description="Training spectra at most: what a CPU learns from in minutes.")
    lines: Lines | None = Field(
        None, description="Abundances from their own lines, at tasks that ask for any; null: as the survey has them."
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `lines` where there are none: a training that reads no such setting depends on none."""
        return {name: value for name, value in handler(self).items() if name != "lines" or value is not None}


class PatchTraining(Training):
    """Training of adapters and projector."""

    learning_rate: float = Field(3e-3, gt=0, description="AdamW, adapters.")
    projector_learning_rate: float = Field(1e-3, gt=0, description="AdamW, projector.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW, adapters.")
    projector_weight_decay: float = Field(0.05, ge=0, description="AdamW, projector.")
    huber: float = Field(
        1.0, ge=0, description="Weight of the Huber loss of a label's expected value beside its soft target."
    )
    text: float = Field(1.0, ge=0, description="Weight of the cross-entropy of the answer's text.")
    class_weight: float = Field(1.0, ge=0, description="Weight of the cross-entropy of the class.")
    fed_error: float = Field(
        1.0, ge=0, description="Errors of the numbers that later ones see in training, in units of the labels' own."
    )
    replay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the examples that are training spectra of the task and size under `init`, whose labels "
        "must be the same: how strongly what was learnt there holds. `epochs` counts both.",
    )
    augment: PixelAugment = PixelAugment()
    estimates: EstimateTraining = EstimateTraining()


class Answering(Strict):
    """How answers are read."""

    batch: int = Field(128, ge=1, description="Spectra that are answered together.")


class PatchLlm(AdaptedBase):
    """A language model with adapters that reads patch tokens."""

    kind: Literal["patch_llm"] = Field(description="QLoRA on a base model, and a projector trained in full.")
    encoding: str = Field(description="A name under `encodings`, of form patches.")
    encoder: str | None = Field(
        None,
        description="An encoder or aligned pair under `bases`, whose embedding of a spectrum is one more token; "
        "null: none.",
    )
    lora: Lora = Lora(rank=16, alpha=32, dropout=0.0)
    training: PatchTraining = PatchTraining()
    by_size: Annotated[dict[str, PatchTraining], KEYS_GIVEN] = Field(  # type: ignore[assignment]
        {}, description="What differs from `training` at these sizes; keys left out are as in `training`."
    )
    decoding: Answering = Answering()

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `encoder` where there is none: what reads no embedding depends on no such setting."""
        return {name: value for name, value in handler(self).items() if name != "encoder" or value is not None}

    @property
    def lines_samples(self) -> list[tuple[str, str]]:
        """(task, size) of all synthetic spectra that estimates learn lines from, at any size."""
        plans = [self.training, *self.by_size.values()]
        return [(plan.estimates.lines.task, plan.estimates.lines.size) for plan in plans if plan.estimates.lines]
