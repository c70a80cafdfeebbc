"""Settings of language retention: question sets that have nothing to do with spectra, and how they are put."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from starglot.config.strict import Name, PathText, Strict


class Retention(Strict):
    """What a fine-tuned language model still knows of language: `snakemake retention` (docs/retention.md)."""

    sets: dict[Name, PathText] = Field(
        {},
        description="Question sets by a name of yours: task files of lm_eval (YAML) on local files; none: no table.",
    )
    models: list[str] | None = Field(None, description="Language models to ask; null: those of `run:`.")
    template: Literal["none", "chat"] = Field(
        "none", description="none: questions as a set writes them; chat: as turns of the base's chat template."
    )
    batch: int = Field(8, ge=1, description="Questions answered together.")
    limit: int | None = Field(
        None, ge=1, description="Most questions of a set, drawn by `seed`, the same ones for all models; null: all."
    )
    seed: int = Field(0, description="Which questions are drawn where there is a limit.")
