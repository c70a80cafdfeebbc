"""What every part of the configuration is made of."""

from __future__ import annotations

import os
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

#: Several names make up the name of a file, of 255 bytes at most.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=48)]


def _tidy(path: str) -> str:
    """A path without '~' (the home folder), doubled slashes and a slash at its end."""
    return os.path.normpath(os.path.expanduser(path)) if path else path


def _at_home(path: str) -> str:
    return os.path.expanduser(path)


def _blank_is_null(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


PathText = Annotated[str, AfterValidator(_tidy)]
OptionalPath = Annotated[PathText | None, BeforeValidator(_blank_is_null)]
#: A path or a Hugging Face id, which is left as it is.
PathOrId = Annotated[str, AfterValidator(_at_home)]


class Strict(BaseModel):
    """Unknown keys are errors, numbers are finite, and values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


#: What a model is trained on and answers from, or a base is trained on: questions and answers, cleaned spectra, these
#: in front of a language model, other models' predictions, pairs of spectra of one star, a survey's own labels.
Needs: TypeAlias = Literal["questions", "spectra", "spectra and base", "predictions", "pairs", "catalogue"]


class ModelSettings(Strict):
    """What the settings of all kinds of model have in common: `kind` says which (starglot.config.kinds.registry)."""

    kind: str


class BaseSettings(Strict):
    """What the settings of all bases that are made here have in common: `kind` says which it is."""

    #: What it is trained on; None for one that is not trained.
    needs: ClassVar[Needs | None] = None

    kind: str


class PretrainedBase(BaseSettings):
    """A base that is trained here without labels, on the spectra of a sample."""

    task: str = Field(description="Its training spectra come from this task's sample ...")
    size: str = Field(description="... of this size (training split only, labels unread).")


class Augment(Strict):
    """Random changes of a training spectrum, different in each pass; 0 switches one off (ours)."""

    noise: float = Field(0.0, ge=0, le=1, description="Photon-like noise, relative to the flux maximum.")
    tilt: float = Field(0.0, ge=0, le=1, description="Smooth flux tilt, relative at the ends.")

    @property
    def changes(self) -> bool:
        """Whether a spectrum is changed at all."""
        return bool(self.noise or self.tilt)


class Init(Strict):
    """The trained model of the same kind to start from: at a task and size (paper 3.3: stage 2 continues stage 1)."""

    task: str = Field(description="A name under `tasks`.")
    size: str = Field(description="One of its sizes.")
    model: str | None = Field(None, description="Another model's name; null: the same.")


def bases_named(model: ModelSettings) -> list[str]:
    """The bases that a model's settings name: what it stands on, and an encoder that it reads beside."""
    return [name for key in ("base", "encoder") if (name := getattr(model, key, None))]


def init_of(model: ModelSettings | None) -> Init | None:
    """The trained model to start from; None where training begins anew, as always for kinds without `init`."""
    return getattr(model, "init", None)
