"""Settings of baselines that learn nothing, remember, or fit templates made of what they remember."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from starglot.config.strict import ModelSettings

Neighbours = Annotated[int, Field(ge=1)]


class Constant(ModelSettings):
    """The median label of all training spectra, for every spectrum: what has learnt nothing does as well."""

    kind: Literal["constant"] = Field(description="It has no settings.")


class Knn(ModelSettings):
    """The labels of the training spectra that are most alike: what remembering alone is worth."""

    kind: Literal["knn"] = Field(description="Nearest neighbours in the binned flux.")
    bin: int = Field(10, ge=1, description="Mean of this many grid values.")
    neighbours: list[Neighbours] = Field(
        [1, 2, 4, 8, 16, 32], min_length=1, description="Numbers to choose from, on validation stars."
    )


class TemplateFit(ModelSettings):
    """Least squares over redshift with templates made of the training galaxies, as survey pipelines do it."""

    kind: Literal["template_fit"] = Field(description="For a task whose one label is the redshift.")
    bin: int = Field(
        1, ge=1, description="Mean of this many grid values is fitted; the templates stay at the grid's."
    )
    vectors: int = Field(8, ge=1, le=50, description="Templates: mean and principal vectors at rest.")
    step: float = Field(1e-4, gt=0, le=0.01, description="Step of the trial redshifts in log10(1 + z).")
    rounds: int = Field(8, ge=1, le=100, description="Passes that make the templates from spectra with gaps.")
    galaxies: int = Field(2000, ge=10, description="Most training galaxies that templates are made of, by obsid.")
