"""Settings of the encoding `patches`: continuous tokens, made of pieces of the spectrum by a trained projector."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from starglot.config.strict import Strict


class Kernels(Strict):
    """Regression on kernels at training spectra, whose values count beside the networks'."""

    share: float = Field(0.33, gt=0, le=1, description="Share in an estimate; the networks have the rest.")
    components: int = Field(60, ge=1, le=1000, description="Coordinates along the strongest principal directions.")
    landmarks: int = Field(
        1000, ge=2, le=20_000, description="Most training spectra at which kernels stand, evenly spread over them."
    )


class Estimated(Strict):
    """The small models behind the estimates: networks (how many, what they read, their size), and kernels."""

    components: int = Field(
        400,
        ge=2,
        le=1000,
        description="Coordinates along the strongest principal directions of the flux; a quarter of them, half or "
        "all, as validation spectra choose.",
    )
    networks: int = Field(
        4, ge=1, le=100, description="An estimate is the mean of so many networks, the best on validation stars."
    )
    width: int = Field(256, ge=2, le=8192, description="Numbers in each of two hidden layers.")
    kernels: Kernels | None = Field(
        Kernels(),
        description="null: the networks alone. With own lines (`training: estimates: lines`) kernels count in what "
        "the networks are taught, and not in an estimate.",
    )
    noise: bool = Field(
        False,
        description="The networks read the spectrum's noise, too, so that they can trust weak lines where there is "
        "little.",
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `noise` where it is not read: such a model depends on no such setting."""
        return {name: value for name, value in handler(self).items() if name != "noise" or value}

    def inputs(self, coarse: int) -> int:
        """Numbers that a network reads, with so many coarse means."""
        return self.components + coarse + self.noise


class Patches(Strict):
    """Flux as continuous tokens: pieces of the spectrum at full resolution, each mapped to the width of the base."""

    form: Literal["patches"] = Field(
        description="A trained projector makes tokens of the flux; question and answer stay text."
    )
    width: int = Field(140, ge=2, le=10_000, description="Grid values of a patch.")
    stride: int | None = Field(
        None, ge=1, description="Grid values from one patch's start to the next one's; null: the width, no overlap."
    )
    projector: Literal["shared", "patch", "mlp", "conv"] = Field(
        "patch",
        description="shared: one linear map for all patches; patch: a map of each patch's own; mlp: that and two "
        "layers more; conv: convolutions first.",
    )
    scaling: Literal["noise", "sd"] = Field(
        "noise", description="What divides a pixel less its mean: its noise, or its scatter over stars."
    )
    channels: Literal["plain", "whitened", "both"] = Field(
        "plain",
        description="whitened: the strongest directions of the flux are shrunk towards the noise, so that weak lines "
        "are learnt at the same pace; both: two values a pixel.",
    )
    whitening: float = Field(0.5, gt=0, le=1, description="1: shrunk to the noise; 0.5: half way in the logarithm.")
    directions: int = Field(60, ge=1, le=1000, description="Principal directions that are shrunk.")
    coarse: int = Field(
        10,
        ge=2,
        le=1000,
        description="Means of log flux over as many stretches, the spectrum's shape: one token more.",
    )
    estimates: Estimated | None = Field(
        None,
        description="Small models that estimate each label are taught first, by themselves; their estimates are "
        "tokens, one a label. null: none.",
    )

    @property
    def needed(self) -> int:
        """Principal directions that its statistics must have."""
        return max(self.directions, self.estimates.components if self.estimates else 0)

    @property
    def step(self) -> int:
        """Grid values from one patch's start to the next one's."""
        return self.stride or self.width
