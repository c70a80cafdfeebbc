"""Which models are applied to whole surveys, for catalogues of our own."""

from __future__ import annotations

from pydantic import Field

from starglot.config.strict import Strict


class Catalogue(Strict):
    """What `snakemake catalogue` makes: every named model at every named size over every named survey."""

    tasks: list[str] | None = Field(None, description="Names under `tasks`; null: those of `run:`.")
    models: list[str] | None = Field(
        None, description="Names under `models`; null: those of `run:`. Name a few to limit the cost."
    )
    sizes: list[str] | None = Field(None, description="Sizes of these tasks; null: the largest of each in `run:`.")
    surveys: list[str] | None = Field(
        None,
        description="Surveys whose spectra tasks of `run:` ask about, cleaned as each task's own; null: each task's "
        "own survey. A catalogue has every spectrum that the survey's inventory lists.",
    )
    everything: bool = Field(
        False,
        description="Let the inventory have every spectrum of these surveys with a class, enough S/N and any label, "
        "not only what the samples of `run:` need. Decide it before the first run: more rows of a shard are another "
        "shard, for models that read it as well.",
    )
