"""The configuration, typed.  Schema, defaults and reference docs are generated from these models.

Field descriptions say what a value does and when to change it; "paper" refers to the sections of
"Spectra as Language", "ours" marks a choice that the paper leaves open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from starglot.config.ablation import Ablation
from starglot.config.catalogue import Catalogue
from starglot.config.degradation import Degradation
from starglot.config.digits import Digits
from starglot.config.kinds.registry import BASES, KINDS
from starglot.config.mock_galaxies import MockGalaxies
from starglot.config.mock_views import MockDesi, MockGaiaXP
from starglot.config.pairs import Pairs
from starglot.config.patches import Patches
from starglot.config.recipes import Recipe as Recipe
from starglot.config.recipes import View
from starglot.config.recipes import Wavelength as Wavelength
from starglot.config.retention import Retention
from starglot.config.scaling import Comparison, Repeats, Scaling
from starglot.config.strict import (
    BaseSettings,
    ModelSettings,
    Name,
    OptionalPath,
    PathText,
    PretrainedBase,
    Strict,
    bases_named,
    init_of,
)
from starglot.config.surveys.registry import Surveys
from starglot.config.tasks import Task
from starglot.flux_text import FLUX_TEXTS

# ---------------------------------------------------------------- samples and tasks


class Match(Strict):
    """Cross-match of a survey with another one."""

    radius_arcsec: float = Field(3.0, gt=0, le=60, description="Largest separation, after proper motion (ours).")


class Split(Strict):
    """Fractions of stars (not spectra) by a stable hash of star_id and the seed (paper 3.3: 8:2, here by star)."""

    train: float = Field(0.72, gt=0, lt=1, description="Stars that models learn from; the three add up to 1.")
    val: float = Field(0.08, gt=0, lt=1, description="Stars that choose settings and scale uncertainties.")
    test: float = Field(0.20, gt=0, lt=1, description="Stars that are only ever predicted.")
    folds: int = Field(5, ge=2, le=100, description="Star-disjoint folds for cross-validation.")


class Select(Strict):
    """Which catalogue rows are looked for on disk."""

    margin: float = Field(
        1.2,
        ge=1,
        description="Rows kept per class, relative to the largest sample; covers rejected and absent files.",
    )


if TYPE_CHECKING:
    TextForm = str
else:
    TextForm = Literal[tuple(FLUX_TEXTS)]


class Encoding(Strict):
    """How flux becomes text."""

    form: TextForm = Field(
        description="paper: '0.303, 0.307' (5 tokens a value with Llama 3's tokenizer); packed: '303307' (1; 3 with "
        "tokenizers that keep digits apart); digits: '4|5|6, ' of scaled values (5)."
    )
    bin: int = Field(1, ge=1, le=500, description="Mean of this many grid values before writing.")
    preparation: Literal["as_is", "continuum"] = Field(
        "as_is",
        description="as_is: normalised flux; continuum: bins divided by a smooth continuum, then coarse log flux.",
    )
    labels: Literal["rounded", "float32"] = Field(
        "rounded", description="float32 writes the paper's noise digits ('0.15139999'); rounded is learnable."
    )
    digits: Digits | None = Field(None, description="How digits are written; with form digits alone. Null: as there.")

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `digits` where there are none: other forms depend on no such setting."""
        return {name: value for name, value in handler(self).items() if name != "digits" or value is not None}


#: How flux enters a language model: as text, or as tokens.
AnyEncoding = Annotated[Encoding | Patches, Field(discriminator="form")]


class Qa(Strict):
    """Question-and-answer files."""

    files: dict[Literal["train", "val", "test"], int] = Field(
        {"train": 32, "val": 4, "test": 8},
        description="Number of files by split; a row goes to hash(obsid) mod n.",
    )


# ---------------------------------------------------------------- models


if TYPE_CHECKING:
    Base = BaseSettings
    Model = ModelSettings
else:
    Base = Annotated[Union[tuple(BASES.values())], Field(discriminator="kind")]  # noqa: UP007
    Model = Annotated[Union[tuple(kind.settings for kind in KINDS.values())], Field(discriminator="kind")]  # noqa: UP007


# ---------------------------------------------------------------- what is built


class Run(Strict):
    """What `snakemake` without a target builds."""

    tasks: list[str] = Field(min_length=1, description="Names under `tasks`.")
    sizes: list[str] = Field(min_length=1, description="Sizes of any task; each task builds those that it defines.")
    models: list[str] = Field(min_length=1, description="Names under `models`.")
    without: dict[str, list[str]] = Field(
        {}, description="Names under `tasks` -> models of `run: models` that the task does without."
    )
    sets: list[Literal["val", "test", "common", "held_out"]] = Field(
        ["test"],
        min_length=1,
        description="Splits to predict; common is the test split of the smallest size, held_out what the survey of a "
        "task's spectra holds out (surveys.sdss.held_out).",
    )
    validation: list[str] = Field(
        [],
        description="Names under `surveys` that no task learns from: their matched stars are cleaned too, predicted "
        "and judged by their labels.",
    )
    validation_limit: int | None = Field(
        None, ge=1, description="Most spectra of an external survey to predict, test stars first; null: all."
    )
    pairs: list[str] = Field([], description="Names under `pairs`: tables of pairs of spectra to make.")
    bases: list[str] = Field(
        [],
        description="Names under `bases`, of kind aligned: similarity search and spectra of the other view, judged.",
    )


class Tables(Strict):
    """What the paper's tables and figures are made of."""

    baseline: Name | None = Field(
        None,
        description="Stands beside the LLM in tables 6-8; null, or one that `run: models` does not build: "
        "the last ResNet-50 there, else the last one.",
    )


class Mock(Strict):
    """A mock release in the real file formats, made before anything else when present."""

    spectra: int = Field(
        ge=20, le=1_000_000, description="LAMOST spectra to write (stars are fewer: some are revisited)."
    )
    plates: int = Field(6, ge=1, le=500, description="Plates, each a shard of its own.")
    broken: int = Field(12, ge=0, description="Spectra broken in ways that happen.")
    snr: tuple[float, float] = Field(
        (10.0, 150.0), description="Range of S/N in the g band, drawn evenly in its logarithm."
    )
    own_line: int = Field(
        0, ge=0, le=100, description="F to K stars of the own-line test (one [X/Fe] changes at a time); 0: no test."
    )
    synthetic: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Synthetic spectra of the mock's own engine, every abundance drawn on its own, which are the one "
        "grid of surveys.synthetic (docs/synthetic.md); 0: none.",
    )
    apogee_fraction: float = Field(0.8, ge=0, le=1, description="Stars that APOGEE has observed.")
    seed: int = Field(1, description="The same seed gives the same bytes.")
    galaxies: MockGalaxies | None = Field(None, description="Galaxies, too, in a release of their own; null: none.")
    desi: MockDesi | None = Field(None, description="What DESI sees of the stars, too; null: nothing.")
    gaia_xp: MockGaiaXP | None = Field(None, description="What Gaia XP sees of the stars, too; null: nothing.")


class Limits(Strict):
    """What a run may cost before it stops and says so."""

    gpu_hours: float | None = Field(
        None,
        gt=0,
        description="Most GPU hours of trainings and predictions of language models in `run:`, as `starglot plan` "
        "estimates them at 400 TFLOP/s; null: no limit.",
    )


class Config(Strict):
    """The whole configuration."""

    results: PathText = Field("results", description="Folder of everything that is made.")
    state: OptionalPath = Field(None, description="Checkpoints and finished work; null: <results>/state.")
    seed: int = Field(20260523, description="Decides splits, folds and samples.")
    mock: Mock | None = Field(None, description="Make a mock release under <results>/mock; null for real data.")
    surveys: Surveys
    match: Match = Match()
    recipes: dict[Name, Recipe] = Field({"paper": Recipe()}, description="Recipes of cleaning, by a name of yours.")
    split: Split = Split()
    select: Select = Select()
    tasks: dict[Name, Task]
    pairs: dict[Name, Pairs] = Field({}, description="Pairs of views of the same stars, by a name of yours.")
    encodings: dict[Name, AnyEncoding]
    qa: Qa = Qa()
    bases: dict[Name, Base] = Field({})
    models: dict[Name, Model]
    run: Run
    tables: Tables = Tables()
    degradation: Degradation = Degradation()
    repeats: Repeats = Repeats()
    comparison: Comparison = Comparison()
    limits: Limits = Limits()
    scaling: Scaling = Scaling()
    ablation: dict[str, Ablation] = Field(
        {}, description="Names under `run: tasks` -> what `snakemake ablation` varies there."
    )
    catalogue: Catalogue = Catalogue()
    retention: Retention = Retention()

    def models_of(self, task: str | None) -> list[str]:
        """The models of `run:` that a task is built with; None: all."""
        left_out = self.run.without.get(task, []) if task else []
        return [name for name in self.run.models if name not in left_out]

    def recipe_of(self, view: str) -> Recipe:
        """The recipe of a view."""
        return self.recipes[View(view).recipe]

    @property
    def starts(self) -> list[tuple[str, str]]:
        """(task, size) of the samples that the models of `run:` and of the scaling sweep stand on, each once.

        They start from a model or a base that was trained there, or their estimates learn lines there.
        """
        found: dict[tuple[str, str], None] = {}
        for model in self.opened.values():
            init, base = init_of(model), self.bases.get(getattr(model, "base", None) or "")
            if init is not None:
                found[init.task, init.size] = None
            if isinstance(base, PretrainedBase):
                found[base.task, base.size] = None
            found |= dict.fromkeys(getattr(model, "lines_samples", []))
        return list(found)

    @property
    def opened(self) -> dict[str, ModelSettings]:
        """The models of `run:` and of the scaling sweep, with those that they are made of or start from, by name."""
        found: dict[str, ModelSettings] = {}
        built = {name for task in self.run.tasks for name in self.models_of(task)}
        names = [*(name for name in self.run.models if name in built), *(self.scaling.models or [])]
        while names:
            name = names.pop(0)
            model = self.models.get(name)
            if model is None or name in found:
                continue
            found[name] = model
            names += getattr(model, "members", None) or []
            init = init_of(model)
            names += [init.model] if init and init.model else []
        return found

    @property
    def seen_tasks(self) -> list[str]:
        """The tasks whose spectra are needed: those of `run:`, of the scaling sweep, and of what models stand on."""
        tasks = [*self.run.tasks, *self.scaling.tasks, *(task for task, _ in self.starts)]
        return [name for name in dict.fromkeys(tasks) if name in self.tasks]

    @property
    def views(self) -> list[str]:
        """The views of :attr:`seen_tasks` and of :attr:`used_pairs`, each once."""
        of_pairs = [view for name in self.used_pairs for view in self.pairs[name].views]
        return list(dict.fromkeys([*(self.tasks[name].view for name in self.seen_tasks), *of_pairs]))

    @property
    def used_pairs(self) -> list[str]:
        """The pairs that are made: those of `run:`, and those that bases of `run:` and of its models learn from."""
        of_models = [name for model in self.opened.values() for name in bases_named(model)]
        todo, seen = list(dict.fromkeys([*self.run.bases, *of_models])), list[str]()
        while todo:
            name = todo.pop(0)
            seen.append(name)
            todo += [start] if (start := getattr(self.bases.get(name), "init", None)) and start not in seen else []
        learnt = (getattr(self.bases.get(name), "pairs", None) for name in seen)
        return [name for name in dict.fromkeys([*self.run.pairs, *learnt]) if name in self.pairs]

    @property
    def state_dir(self) -> str:
        """Folder of checkpoints and finished work."""
        return self.state or f"{self.results}/state"
