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


#: Statistics of the good pixels that flux can be divided by.
Statistic = Literal["max", "median", "p99"]


class AtWavelength(Strict):
    """Flux is divided by its value at one wavelength."""

    at: float = Field(gt=0, description="Wavelength (A, vacuum); Gaia XP: 5500.")


class Envelope(Strict):
    """Flux is divided by a continuum along its top (SpecCLIP's, `spectra/envelope.py`)."""

    envelope: tuple[float, float] = Field(description="Range (A, vacuum) that the continuum is fitted over.")
    fitted: Literal["native", "grid"] = Field(
        "native",
        description="native: on the survey's pixels, before resampling, so that surveys with other pixels agree to "
        "some tenths of a percent; grid: after it, over the grid alone.",
    )


class Recipe(Strict):
    """How a spectrum becomes a row of normalised flux: mask, normalise, resample (paper 2.1)."""

    wavelength: Wavelength = Wavelength()
    mask_bits: list[Annotated[int, Field(ge=0, le=62)]] | Literal["all"] = Field(
        "all",
        description="ORMASK bits that mask a pixel; paper 2.1 says 'ormask = 1', the files hold bit sums.",
    )
    normalisation: Statistic | AtWavelength | Envelope = Field(
        "max",
        description="Divide by this statistic of the good pixels (paper eq. 1: max; p99 resists cosmic rays), by the "
        "flux at a wavelength (`{at: 5500}`), or by a continuum (`{envelope: [3700, 5700]}`).",
    )
    interpolation: Literal["cubic", "linear", "none"] = Field(
        "cubic",
        description="Resampling through good pixels (paper 2.1). none: the grid's values are the survey's own pixels "
        "as they are, and a spectrum with other pixels is rejected; masked ones are filled as by cubic.",
    )
    max_gap: float = Field(30.0, gt=0, description="Across wider gaps (A) the interpolation is linear (ours).")
    max_edge: float = Field(
        5.0,
        ge=0,
        description="Good pixels must come this close (A) to both ends; there the end value is held (ours).",
    )
    min_good: float = Field(0.5, ge=0, le=1, description="Least fraction of good pixels on the grid's range (ours).")

    @model_validator(mode="after")
    def _grid_inside(self) -> Recipe:
        """What flux is divided by must be known on the whole grid."""
        by, (start, stop) = self.normalisation, (self.wavelength.start, self.wavelength.stop)
        if isinstance(by, AtWavelength) and not start <= by.at <= stop:
            raise ValueError(f"normalisation.at, {by.at:g} A, is not on the grid, {start:g}-{stop:g} A")
        if isinstance(by, Envelope) and not by.envelope[0] <= start < stop <= by.envelope[1]:
            low, high = by.envelope
            raise ValueError(
                f"the continuum's range, {low:g} to {high:g} A, must hold the grid, {start:g} to {stop:g} A"
            )
        return self


class View:
    """A survey seen through a recipe, written `survey/recipe`."""

    def __init__(self, text: str):
        self.survey, _, self.recipe = text.partition("/")
