"""What is trained more than once: for the scaling sweep, and for error budget and cross-validation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from starglot.config.strict import Strict

Seed = Annotated[int, Field(ge=0)]
Factor = Annotated[float, Field(ge=0.01, le=1000)]


class Scaling(Strict):
    """What `snakemake scaling` sweeps (paper 5.1): sizes, seeds and passes of models, all tried on one test set."""

    tasks: list[str] = Field(["atmosphere"], description="Names under `tasks`; a table and a figure each.")
    sizes: list[str] | None = Field(
        None,
        description="Sizes of these tasks, nested as all are; null: those of `run:`. Four test a law, three do not.",
    )
    models: list[str] | None = Field(None, description="Names under `models`; null: those of `run:`.")
    seeds: list[Seed] = Field(
        [0, 1, 2], min_length=1, description="Each model is trained once a seed; one that draws nothing, once."
    )
    control: dict[str, list[str]] = Field(
        {},
        description="Language models of the sweep -> models of the sweep that are the same but for their base, such "
        "as one of kind `like` with random or shuffled layers, or for the `encoder` beside the patches: `snakemake "
        "control` tables what pre-training brings.",
    )
    passes: list[Factor] = Field(
        [1.0],
        min_length=1,
        description="Multiples of each model's own passes over its spectra, a curve each: the axis of examples seen. "
        "Two show whether training has converged at each size. Models fitted in one go take no part.",
    )
    test_size: str | None = Field(
        None,
        description="The size whose test split every model of every size is tried on; null: the smallest of `run:`, "
        "whose test split is the set `common`.",
    )
    statistic: Literal["robust", "rmse"] = Field(
        "robust", description="Sigma of the fit: the normalised median absolute deviation, or the RMSE."
    )
    extrapolate: float = Field(
        10.0, gt=1, le=1e4, description="The law is extrapolated to this many times the largest number of spectra."
    )


class Comparison(Strict):
    """What `snakemake comparison` compares: models of several seeds, at each task's largest."""

    models: list[str] | None = Field(
        None,
        description="Names under `models`: those that are compared, and the baselines that they are compared with; "
        "null: those of `run:`.",
    )
    seeds: list[Seed] = Field(
        [0, 1, 2], min_length=1, description="Each model is trained once a seed; one that draws nothing, once."
    )


class Repeats(Strict):
    """Models of `run:` that are trained again, at their tasks' largest sizes: how far do answers hang on chance?"""

    models: list[str] = Field([], description="Names under `run: models`; none: no repeats.")
    seeds: list[Seed] = Field([], description="Further seeds: the model scatter of the error budget.")
    folds: bool = Field(
        False, description="Cross-validation over `split: folds`: a table of its own, and part of the model scatter."
    )
