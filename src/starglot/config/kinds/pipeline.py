"""Settings of the model that repeats what a survey's own pipeline has measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from starglot.config.strict import ModelSettings


class Pipeline(ModelSettings):
    """The labels of the spectra's own survey, from its catalogue: what a new model has to better."""

    kind: Literal["pipeline"] = Field(
        description="It reads no spectra; for a task that learns labels of another survey."
    )
    calibrated: bool = Field(
        True,
        description="By a line for each label, fitted on training stars, on the scale of the task's labels; false: "
        "as the catalogue has them.",
    )
