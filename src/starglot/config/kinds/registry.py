"""Kinds of model: the settings of each, and the family whose code trains it.

This is all that the workflow knows of a kind.  Whatever asks what a model reads, whether its training has a curve, or
how it is given more passes, asks the model's family here, and never which kind it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starglot.config.bases.aligned import AlignedBase
from starglot.config.bases.encoders import AutoencoderBase, MaskedEncoderBase
from starglot.config.bases.masked_patches import MaskedPatchesBase
from starglot.config.bases.random import LikeBase, RandomBase
from starglot.config.bases.tiny import TinyBase
from starglot.config.kinds.baselines import ClassMean, Cnn, Ensemble, Gru, KernelRidge, LightGbm, Mlp, ResNet50, Ridge
from starglot.config.kinds.llm import Llm
from starglot.config.kinds.nearest import Constant, Knn, TemplateFit
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.kinds.pipeline import Pipeline
from starglot.config.strict import BaseSettings, ModelSettings, Needs
from starglot.registry import Registry


@dataclass(frozen=True)
class Family:
    """Kinds of model that the same code trains.

    needs: what they read; curve: whether a training leaves a loss curve; stretched: settings with so many times the
    passes over the spectra, None where spectra are not read over and over; language: whether of language models.
    """

    needs: Needs
    curve: bool = False
    stretched: Callable[[Any, float], ModelSettings] | None = None
    language: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of model: the class of its settings, and its family, a name in ``FAMILIES``."""

    settings: type[ModelSettings]
    family: str


def _epochs(model: Any, factor: float) -> ModelSettings:
    """``factor`` times the epochs, at every size: a whole number of at least one, where epochs are whole."""

    def longer(plan: Any) -> Any:
        whole = isinstance(plan.epochs, int)
        return plan.model_copy(
            update={"epochs": max(1, round(plan.epochs * factor)) if whole else plan.epochs * factor}
        )

    own = {size: longer(plan) if "epochs" in plan.model_fields_set else plan for size, plan in model.by_size.items()}
    changed: ModelSettings = model.model_copy(update={"training": longer(model.training), "by_size": own})
    return changed


def _rounds(model: Any, factor: float) -> ModelSettings:
    """``factor`` times the most trees, at least one."""
    changed: ModelSettings = model.model_copy(update={"rounds": max(1, round(model.rounds * factor))})
    return changed


#: Families.  Those that need spectra have scripts of their own, train_<family>.py and predict_<family>.py.
FAMILIES: Registry[Family] = Registry(
    {
        "language": Family("questions", curve=True, stretched=_epochs, language=True),
        "patches": Family("spectra and base", curve=True, stretched=_epochs, language=True),
        "network": Family("spectra", curve=True, stretched=_epochs),
        "trees": Family("spectra", stretched=_rounds),
        "plain": Family("spectra"),
        "ensemble": Family("predictions"),
        "pipeline": Family("catalogue"),
    }
)

#: Every kind of model, by the name that `kind` gives in the configuration.
KINDS: Registry[Kind] = Registry(
    {
        "llm": Kind(Llm, "language"),
        "patch_llm": Kind(PatchLlm, "patches"),
        "class_mean": Kind(ClassMean, "plain"),
        "ridge": Kind(Ridge, "plain"),
        "constant": Kind(Constant, "plain"),
        "knn": Kind(Knn, "plain"),
        "template_fit": Kind(TemplateFit, "plain"),
        "kernel_ridge": Kind(KernelRidge, "plain"),
        "lightgbm": Kind(LightGbm, "trees"),
        "resnet50": Kind(ResNet50, "network"),
        "cnn": Kind(Cnn, "network"),
        "gru": Kind(Gru, "network"),
        "mlp": Kind(Mlp, "network"),
        "ensemble": Kind(Ensemble, "ensemble"),
        "pipeline": Kind(Pipeline, "pipeline"),
    }
)

#: Every kind of base that is made here, likewise.
BASES: Registry[type[BaseSettings]] = Registry(
    {
        "tiny": TinyBase,
        "random": RandomBase,
        "like": LikeBase,
        "masked_patches": MaskedPatchesBase,
        "masked_encoder": MaskedEncoderBase,
        "autoencoder": AutoencoderBase,
        "aligned": AlignedBase,
    }
)


def family_of(model: ModelSettings) -> Family:
    """The family of a model."""
    return FAMILIES[KINDS[model.kind].family]


def is_language_model(model: ModelSettings) -> bool:
    """Whether a model is a language model, which the paper's tables show beside one that is none."""
    return family_of(model).language


def reading(models: Iterable[str], settings: dict[str, ModelSettings], needs: Needs) -> list[str]:
    """Those of the ``models`` that need this."""
    return [name for name in models if family_of(settings[name]).needs == needs]


def bases_made_of(bases: Mapping[str, BaseSettings], needs: Needs) -> list[str]:
    """Those of the ``bases`` that are trained on this."""
    return [name for name, base in bases.items() if base.needs == needs]
