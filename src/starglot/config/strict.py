"""What every part of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Strict(BaseModel):
    """Unknown keys are errors; values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Augment(Strict):
    """Changes drawn anew at each pass over a training spectrum; 0 switches one off (ours)."""

    noise: float = Field(0.0, ge=0, le=1, description="Photon-like noise, relative to the flux maximum.")
    tilt: float = Field(0.0, ge=0, le=1, description="Smooth flux tilt, relative at the ends.")
