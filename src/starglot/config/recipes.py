"""Recipes: how a survey's own pixels become a row of flux; and views, a survey seen through one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from starglot.config.strict import Strict


class Wavelength(Strict):
    """A grid in vacuum Angstrom: linear `{start, stop, step}` (paper 2.1: 3800-8700 in steps of 1, 4901 values), or
    logarithmic `{start, stop, size, log: true}`, where neighbours have a constant ratio."""

    start: float = Field(3800.0, gt=0, description="First wavelength (A).")
    stop: float = Field(8700.0, gt=0, description="Last wavelength (A), itself on the grid.")
    step: float = Field(1.0, gt=0, description="Spacing (A) of a linear grid; must divide the range.")
    size: int = Field(
        0, description="Number of values, both ends included; given for a logarithmic grid, else it follows."
    )
    log: bool = Field(False, description="Evenly spaced in the logarithm of the wavelength.")

    @model_validator(mode="before")
    @classmethod
    def _count(cls, given: Any) -> Any:
        """The size of a linear grid follows from the others; what is no number is said of these, not here."""
        if not isinstance(given, Mapping) or given.get("log"):
            return given
        named = {name: given.get(name, cls.model_fields[name].default) for name in ("start", "stop", "step")}
        if "size" in given or not all(isinstance(value, int | float) for value in named.values()):
            return given
        if not named["step"] > 0 or not abs(named["stop"] - named["start"]) < 1e9:
            return given
        return {**given, "size": round((named["stop"] - named["start"]) / named["step"]) + 1}

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As the configuration has it: no size of a linear grid, no step of a logarithmic one."""
        spare = {"step"} if self.log else {"size", "log"}
        return {name: value for name, value in handler(self).items() if name not in spare}


class Recipe(Strict):
    """How a spectrum becomes a row of normalised flux: mask, normalise, resample (paper 2.1)."""

    wavelength: Wavelength = Wavelength()
    mask_bits: list[Annotated[int, Field(ge=0, le=62)]] | Literal["all"] = Field(
        "all",
        description="ORMASK bits that mask a pixel; paper 2.1 says 'ormask = 1', the files hold bit sums.",
    )
    normalisation: Literal["max", "median", "p99"] = Field(
        "max",
        description="Divide by this statistic of the good pixels (paper eq. 1: max; p99 resists cosmic rays).",
    )
    interpolation: Literal["cubic", "linear"] = Field(
        "cubic", description="Resampling through good pixels (paper 2.1)."
    )
    max_gap: float = Field(30.0, gt=0, description="Across wider gaps (A) the interpolation is linear (ours).")
    max_edge: float = Field(
        5.0,
        ge=0,
        description="Good pixels must come this close (A) to both ends; there the end value is held (ours).",
    )
    min_good: float = Field(0.5, ge=0, le=1, description="Least fraction of good pixels on the grid's range (ours).")


class View:
    """A survey seen through a recipe, written `survey/recipe`."""

    def __init__(self, text: str):
        self.survey, _, self.recipe = text.partition("/")
