"""Settings of language models with adapters: what QLoRA trains, and how answers are read (paper 3.3)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from starglot.config.by_size import KEYS_GIVEN, ONE_NUMBER
from starglot.config.rehearsal import Rehearsal
from starglot.config.strict import Augment, Init, ModelSettings, PathOrId, Strict
from starglot.config.transfer import LanguageTransfer


class Lora(Strict):
    """Low-rank adapters (paper 3.3: rank 64, alpha 128, dropout 0.1)."""

    rank: int = Field(64, ge=1, le=1024, description="Rank; at most the width of the base.")
    alpha: int = Field(128, ge=1, description="Scale: the update is multiplied by alpha / rank.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the adapter.")
    layers: list[str] | None = Field(
        None,
        min_length=1,
        description="Names of the linear layers that are adapted, in every block, such as [q_proj, v_proj]; null: "
        "all but the output layer (paper 3.3).",
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `layers` where all are adapted: trainings that name none depend on no such setting."""
        return {name: value for name, value in handler(self).items() if name != "layers" or value is not None}


class Training(Strict):
    """QLoRA training (paper 3.3)."""

    epochs: Annotated[float, ONE_NUMBER] = Field(3.0, gt=0, description="Passes over the training spectra (ours).")
    learning_rate: Annotated[float, ONE_NUMBER] = Field(1e-4, gt=0, description="AdamW (paper 3.3: 0.0001).")
    weight_decay: float = Field(0.1, ge=0, description="AdamW (paper 3.3).")
    warmup: float = Field(0.03, ge=0, lt=1, description="Fraction of steps (ours).")
    batch: int = Field(1, ge=1, description="Spectra per device and step; lower it when memory runs out.")
    accumulate: int = Field(
        64, ge=1, description="Gradient accumulation; batch x accumulate x processes is effective (64, ours)."
    )
    gradient_checkpointing: bool = Field(
        True, description="Recompute activations (paper 3.3); off is faster if it fits."
    )
    augment: Augment = Augment()
    rehearsal: Rehearsal | None = Field(None, description="Ordinary text among the spectra; null: none.")
    checkpoints: int = Field(20, ge=1, description="Checkpoints over the whole training; a killed run resumes there.")
    deepspeed: bool = Field(False, description="ZeRO stage 3 (paper 3.3); needs more than one GPU to be worth it.")
    gpus: int = Field(1, ge=0, description="GPUs per training job, a process each; 0 trains on the CPU.")
    nodes: int = Field(
        1, ge=1, description="Nodes that the GPUs are shared out over, evenly; on the CPU a process each."
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `rehearsal` where there is none: other trainings depend on no such setting."""
        return {name: value for name, value in handler(self).items() if name != "rehearsal" or value is not None}

    @property
    def processes(self) -> int:
        """Processes of one training: one a GPU; on the CPU one a node."""
        return self.gpus or self.nodes


class Decoding(Strict):
    """How answers are read from the model."""

    value: Literal["expected", "greedy"] = Field(
        "expected",
        description="expected: mean over the pruned digit tree, also where the greedy digits are out of range or "
        "unreadable; greedy: the digits as answered (paper).",
    )
    prune: float = Field(0.01, gt=0, lt=0.5, description="Digits less probable than this are not followed.")
    batch: int = Field(8, ge=1, description="Spectra decoded together.")


class AdaptedBase(ModelSettings):
    """What all language models with adapters have in common, whether they read flux as text or as tokens."""

    base: PathOrId = Field(description="A name under `bases`, a folder, or a Hugging Face id.")
    revision: str | None = Field(
        None, min_length=1, description="Commit, tag or branch of a Hugging Face id; null: main, as last fetched."
    )
    encoding: str = Field(description="A name under `encodings`.")
    quantisation: Literal["nf4", "none"] = Field(
        "nf4", description="nf4 with double quantisation is QLoRA (paper 3.3)."
    )
    lora: Lora = Lora()
    training: Training = Training()
    by_size: Annotated[dict[str, Training], KEYS_GIVEN] = Field(
        {}, description="What differs from `training` at these sizes; keys left out are as in `training`."
    )
    init: Init | None = Field(None, description="Applies to tasks other than its own.")
    transfer: LanguageTransfer | None = Field(None, description="How it goes on from `init`; null: lora.")
    seed: int = Field(0, description="First weights, order, dropout and augmentation.")


class Llm(AdaptedBase):
    """A language model with adapters that reads flux as text."""

    kind: Literal["llm"] = Field(description="QLoRA on a base model.")
    decoding: Decoding = Decoding()
