"""Settings of the baselines: what a language model has to beat.

Defaults of a network's training are the paper's (section 4.1); what it leaves open is marked "ours".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from starglot.config.by_size import KEYS_GIVEN
from starglot.config.kinds.patch_llm import PixelAugment
from starglot.config.strict import Augment, Init, ModelSettings, Strict
from starglot.config.transfer import NetworkTransfer

Width = Annotated[int, Field(ge=1)]


class ClassMean(ModelSettings):
    """Predicts the mean label of the catalogue's class: what knowing the class alone is worth."""

    kind: Literal["class_mean"] = Field(description="It has no settings.")


class OnBase(ModelSettings):
    """A model that may read a base's embeddings in place of flux."""

    base: str | None = Field(
        None,
        description="An encoder or aligned pair under `bases`, whose embedding of a spectrum is read in place of "
        "flux; null: flux.",
    )

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `base` where there is none: what reads flux depends on no such setting."""
        return {name: value for name, value in handler(self).items() if name != "base" or value is not None}


class Ridge(OnBase):
    """Ridge regression on the cleaned flux, or on embeddings: the floor for a linear reading of either."""

    kind: Literal["ridge"] = Field(description="Linear in the binned flux, and in the class.")
    bin: int = Field(10, ge=1, description="Mean of this many grid values; no matter to embeddings.")
    alphas: list[float] = Field(
        [1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e3],
        min_length=1,
        description="Penalties to choose from, on validation stars.",
    )


class KernelRidge(ModelSettings):
    """Kernel ridge regression on principal components of the pixels: smooth functions of the spectrum, in seconds."""

    kind: Literal["kernel_ridge"] = Field(description="On the pixels that patch tokens are made of.")
    components: int = Field(60, ge=1, le=1000, description="Principal directions of the pixels over their noise.")
    whitening: float = Field(
        0.5, ge=0, le=1, description="1: strong directions are shrunk to the noise; 0.5: half way in the logarithm."
    )
    kernel: Literal["rbf", "laplace"] = Field(
        "rbf", description="rbf: a Gaussian of the distance; laplace: an exponential of it, for rougher functions."
    )
    widths: list[Annotated[float, Field(gt=0)]] = Field(
        [1.0, 2.0, 4.0, 8.0],
        min_length=1,
        description="Widths of the kernel to choose from, on validation stars, in units of the spectra's median "
        "distance.",
    )
    alphas: list[Annotated[float, Field(gt=0)]] = Field(
        [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0],
        min_length=1,
        description="Penalties to choose from, likewise.",
    )
    landmarks: int = Field(
        2000,
        ge=2,
        le=20_000,
        description="Most training spectra at which kernels stand; of more, a part stands for all (Nystroem). Memory "
        "grows with their square, and time with their square times the spectra.",
    )
    copies: int = Field(
        3, ge=0, le=100, description="Further copies of each training spectrum, each drawn anew as `augment` says."
    )
    augment: PixelAugment = PixelAugment()
    seed: int = Field(0, description="Draws the copies.")


class Spectrum(ModelSettings):
    """How a baseline is shown a spectrum."""

    bin: int = Field(1, ge=1, description="Mean of this many grid values.")
    preparation: Literal["as_is", "continuum"] = Field(
        "as_is",
        description="as_is: normalised flux (paper); continuum: bins divided by a smooth continuum, with ten coarse "
        "log flux values beside them.",
    )


class LightGbm(Spectrum):
    """Gradient-boosted trees: a classifier, and a regressor for each label (paper 4.1)."""

    kind: Literal["lightgbm"] = Field(description="A model of its own for the class and for each label.")
    rounds: int = Field(100, ge=1, description="Most trees of a regressor (of each class, for the classifier).")
    stop_after: int | None = Field(
        None, ge=1, description="Stop when validation stars have not gained for so many rounds; null: never."
    )
    learning_rate: float = Field(0.1, gt=0, le=1, description="Shrinkage of each tree.")
    leaves: int = Field(31, ge=2, description="Leaves of a tree.")
    min_leaf: int = Field(20, ge=1, description="Fewest spectra in a leaf.")
    features: float = Field(1.0, gt=0, le=1, description="Fraction of the flux values that each tree is shown.")
    rows: int | None = Field(
        None,
        ge=10,
        description="Most training spectra, drawn by obsid; null: all. The binned sample is held in memory: a byte "
        "for each value of each spectrum.",
    )
    seed: int = Field(0, description="Draws values and spectra.")


class Epochs(Strict):
    """How a network is trained, whatever it learns: passes over the spectra, steps and their rate."""

    epochs: int = Field(80, ge=1, description="Passes over the training spectra, at most.")
    batch: int = Field(32, ge=2, description="Spectra per step.")
    learning_rate: float = Field(1e-3, gt=0, description="At the start.")
    weight_decay: float = Field(0.0, ge=0, description="AdamW; 0 is plain Adam (ours: the paper names no optimiser).")
    schedule: Literal["plateau", "cosine"] = Field(
        "plateau",
        description="plateau: times `factor` when the validation loss has not fallen for `patience` epochs; cosine: "
        "to 0 at the end (paper 4.1 for 5e5).",
    )
    patience: int = Field(3, ge=1, description="Epochs without a lower validation loss; plateau only.")
    factor: float = Field(0.1, gt=0, lt=1, description="What the rate is multiplied by then; plateau only.")
    warmup: float = Field(
        0.0, ge=0, lt=1, description="Fraction of the steps over which the rate rises; cosine only."
    )
    stop_after: int | None = Field(
        7, ge=1, description="Stop after so many epochs without a lower validation loss; null: never."
    )


class NetworkTraining(Epochs):
    """How a network is trained (paper 4.1): classification loss + weight x regression loss, missing labels masked."""

    regression_weight: float = Field(
        50.0, ge=0, description="Cross-entropy of the class + this x mean squared error of the scaled labels."
    )
    augment: Augment = Augment()


class Network(Spectrum):
    """What all networks share.  The weights of the epoch with the lowest validation loss are kept (paper 4.2)."""

    inputs: Literal["as_is", "standard"] = Field(
        "as_is", description="standard: each flux value less its mean over the training spectra, by its scatter."
    )
    labels: Literal["minmax", "standard"] = Field(
        "minmax", description="Scale of the labels in the loss: 0 to 1 (paper 4.2), or zero mean and unit scatter."
    )
    training: NetworkTraining = NetworkTraining()
    by_size: Annotated[dict[str, NetworkTraining], KEYS_GIVEN] = Field(
        {}, description="What differs from `training` at these sizes; keys left out are as in `training`."
    )
    init: Init | None = Field(
        None, description="The same network at another task; its weights are taken where both have the label."
    )
    transfer: NetworkTransfer | None = Field(None, description="How it goes on from `init`; null: full.")
    gpus: int = Field(1, ge=0, le=1, description="1 trains and predicts on a GPU, 0 on the CPU.")
    seed: int = Field(0, description="First weights, order, dropout and augmentation.")


class ResNet50(Network):
    """ResNet-50 (He et al. 2016) on a spectrum in place of an image: a class head and a head for each label."""

    kind: Literal["resnet50"] = Field(description="16 bottlenecks in stages of 3, 4, 6 and 3.")
    width: float = Field(1.0, gt=0, le=4, description="Channels relative to the original; less for small samples.")


class Cnn(Network):
    """A small convolutional network (the paper's Small CNN; its layers are ours)."""

    kind: Literal["cnn"] = Field(description="Convolution, normalisation, maximum; then dense layers.")
    channels: list[Width] = Field([16, 32, 64], min_length=1, description="Channels of the convolutions.")
    kernel: int = Field(9, ge=1, description="Flux values that a convolution spans.")
    pool: int = Field(4, ge=1, description="Values of which each convolution passes on the largest.")
    dense: list[Width] = Field([128], description="Widths of the dense layers.")
    dropout: float = Field(0.0, ge=0, lt=1, description="After each dense layer.")


class Gru(Network):
    """Gated recurrent units, read from blue to red (paper 4.1: three stacked; their size is ours)."""

    kind: Literal["gru"] = Field(description="A piece of the spectrum at each step.")
    step: int = Field(50, ge=1, description="Flux values read at a step.")
    hidden: int = Field(128, ge=1, description="Width.")
    layers: int = Field(3, ge=1, description="Stacked layers (paper 4.1).")
    bidirectional: bool = Field(False, description="Also read from red to blue.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Between the layers.")


class Mlp(OnBase, Network):
    """Dense networks [n, 1024, 512, 64, 1], one for each label (MLP-LRS), and one for the class (ours)."""

    kind: Literal["mlp"] = Field(description="Batch normalisation, ReLU and dropout after each dense layer.")
    hidden: list[Width] = Field([1024, 512, 64], min_length=1, description="Widths between input and output.")
    dropout: float = Field(0.1, ge=0, lt=1, description="After each dense layer.")


class Ensemble(ModelSettings):
    """Other models' predictions combined, label by label, with weights from validation stars (paper's outlook)."""

    kind: Literal["ensemble"] = Field(description="Trains nothing of its own.")
    members: list[str] = Field(min_length=2, description="Names under `models`, none of them an ensemble.")
    weights: Literal["fitted", "inverse_variance"] = Field(
        "fitted",
        description="fitted: those with the least squared error on validation stars, one for each label; "
        "inverse_variance: each star's own, from the members' uncertainties.",
    )
