"""The configuration, typed.  Schema, defaults and reference docs are generated from these models.

Field descriptions say what a value does and when to change it; "paper" refers to the sections of
"Spectra as Language", "ours" marks a choice that the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from starglot.config.baselines import ClassMean, Cnn, Ensemble, Gru, LightGbm, Mlp, ResNet50, Ridge
from starglot.config.degradation import Degradation
from starglot.config.llm import Llm
from starglot.config.scaling import Repeats, Scaling
from starglot.config.strict import Name, OptionalPath, PathText, Strict
from starglot.config.tasks import Task
from starglot.registry import Registry

# ---------------------------------------------------------------- surveys


_Band = Literal["u", "g", "r", "i", "z"]


def _cuts(given: Any) -> Any:
    """A map of cuts without those that are null: overlays merge, and so take none away otherwise."""
    if isinstance(given, Mapping):
        return {band: least for band, least in given.items() if least is not None}
    return {} if given is None else given


#: Least S/N by band.
SnrCuts = Annotated[
    dict[_Band, float], BeforeValidator(_cuts, json_schema_input_type=dict[_Band, float | None] | None)
]


class Lamost(Strict):
    """LAMOST low-resolution spectra and catalogues (paper 2.1)."""

    release: str = Field("dr11_v1.1", description="Named in manifests and captions.")
    stellar: PathText = Field(description="Catalogue of A, F, G, K stars (LRS_stellar).")
    mstellar: OptionalPath = Field(None, description="Catalogue of M stars (LRS_mstellar); null where there is none.")
    spectra: PathText = Field(description="Root of the spectra, laid out as <obsdate>/<planid>/spec-*.fits.gz.")
    gaia_release: Literal["dr2", "dr3"] = Field(
        "dr3", description="Release that gaia_source_id is of; ids of another release are not compared."
    )
    coverage: tuple[float, float] = Field(
        (3700.0, 9099.0),
        description="Wavelengths (A, vacuum) that the release covers; the grid must lie inside.",
    )
    class_counts: dict[str, int] | None = Field(
        None,
        description="Labelled spectra by class in the release (paper 2.1); larger samples are refused.",
    )
    snr_min: SnrCuts = Field(
        {"r": 2.0, "i": 2.0},
        description="Least S/N by band (paper 2.1: 2 in r and i, where nothing is said). Other bands take the place "
        "of these: `{g: 5}`; `{}` or null is no cut. Over an overlay that sets one, `{r: null}` takes it away.",
    )


class Apogee(Strict):
    """APOGEE allStar catalogue, the labels of the second stage (paper 2.2)."""

    release: Literal["dr12", "dr16", "dr17"] = Field("dr16", description="Decides which Gaia release its ids are of.")
    catalog: PathText = Field(description="allStar FITS file.")
    aspcapflag_bits: list[int] | Literal["all"] = Field(
        "all", description="ASPCAPFLAG bits that reject a star; paper 2.2: any."
    )
    paramflag_bits: list[int] | Literal["all"] = Field(
        [0, 1, 2, 3, 4],
        description="PARAMFLAG bits that reject a star (ours: the bad bits; bits 24-27 are informational).",
    )
    elemflag_bits: list[int] | Literal["all"] = Field(
        "all", description="X_FE_FLAG bits that make one abundance missing; paper 4: any."
    )


class Galah(Strict):
    """GALAH DR4 allstar catalogue, external validation (paper 5.2)."""

    release: Literal["dr4"] = Field("dr4", description="Its columns, flags and Gaia ids (DR3).")
    catalog: PathText = Field(description="galah_dr4_allstar FITS file.")
    snr_min: float = Field(30.0, description="Least snr_px_ccd3 (paper 5.2, with the column's real name).")


class GaiaEso(Strict):
    """Gaia-ESO DR5 catalogue, external validation (paper 5.2)."""

    release: Literal["dr5"] = Field("dr5", description="Its columns; Gaia ids count where the file has them.")
    catalog: PathText = Field(description="Gaia-ESO public catalogue, FITS.")
    solar_scale: Literal["grevesse2007", "asplund2009"] = Field(
        "grevesse2007", description="Solar abundances that turn A(X) into [X/Fe]."
    )


class Surveys(Strict):
    """Sources of spectra and labels; set a survey to null to do without it."""

    lamost: Lamost
    apogee: Apogee | None = None
    galah: Galah | None = None
    gaia_eso: GaiaEso | None = None


class Match(Strict):
    """Cross-match of LAMOST with another survey."""

    radius_arcsec: float = Field(3.0, gt=0, le=60, description="Largest separation, after proper motion (ours).")


# ---------------------------------------------------------------- spectra


class Wavelength(Strict):
    """The common grid, vacuum Angstrom (paper 2.1: 3800-8700 in steps of 1, 4901 values)."""

    start: float = Field(3800.0, gt=0, description="First wavelength (A).")
    stop: float = Field(8700.0, gt=0, description="Last wavelength (A), itself on the grid.")
    step: float = Field(1.0, gt=0, description="Spacing (A); must divide the range.")

    @property
    def size(self) -> int:
        """Number of grid points, both ends included."""
        return round((self.stop - self.start) / self.step) + 1


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


# ---------------------------------------------------------------- samples and text


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


class Encoding(Strict):
    """How flux becomes text."""

    form: Literal["paper", "packed"] = Field(
        description="paper: '0.303, 0.307' (5 tokens a value with Llama 3's tokenizer); packed: '303307' (1; 3 with "
        "tokenizers that keep digits apart)."
    )
    bin: int = Field(1, ge=1, le=500, description="Mean of this many grid values before writing.")
    preparation: Literal["as_is", "continuum"] = Field(
        "as_is",
        description="as_is: normalised flux; continuum: bins divided by a smooth continuum, then coarse log flux.",
    )
    labels: Literal["rounded", "float32"] = Field(
        "rounded", description="float32 writes the paper's noise digits ('0.15139999'); rounded is learnable."
    )


class Qa(Strict):
    """Question-and-answer files."""

    files: dict[Literal["train", "val", "test"], int] = Field(
        {"train": 32, "val": 4, "test": 8},
        description="Number of files by split; a row goes to hash(obsid) mod n.",
    )


# ---------------------------------------------------------------- models


class TinyBase(Strict):
    """A tiny Llama for demonstrations, pre-trained without labels on training flux: no general language model."""

    kind: Literal["tiny"] = Field("tiny", description="The one kind of base that is built here.")
    task: str = Field(description="Its training spectra come from this task's sample ...")
    size: str = Field(description="... of this size (training split only, labels unread).")
    encoding: str = Field(description="A name under `encodings`; models on this base use the same.")
    hidden: int = Field(128, ge=16, description="Width.")
    layers: int = Field(4, ge=1, description="Transformer layers.")
    heads: int = Field(8, ge=1, description="Attention heads; must divide the width.")
    rope_theta: float = Field(1000.0, gt=0, description="Rotary base; small, as prompts are short.")
    examples: int = Field(
        4800, ge=16, description="Spectra seen, each asked several pseudo-questions; more is better."
    )
    asked: int = Field(4, ge=1, description="Pseudo-questions about one spectrum; they share the prompt's cost.")
    questions: int = Field(8, ge=1, le=26, description="Different pseudo-questions besides the first.")
    components: int = Field(16, ge=3, description="Principal components of the flux that are asked about.")
    windows: int = Field(64, ge=0, description="Contrasts of a window with its neighbours that are asked about.")
    named: float = Field(0.2, ge=0, le=1, description="Fraction of the further answers in the form of stage 2 ...")
    names: int = Field(4, ge=1, le=21, description="... and how many labels such an answer names.")
    noise: float = Field(0.0, ge=0, le=1, description="As `noise` in a model's `augment`.")
    tilt: float = Field(0.0, ge=0, le=1, description="As `tilt` in a model's `augment`.")
    batch: int = Field(16, ge=1, description="Examples per step.")
    learning_rate: float = Field(2e-3, gt=0, description="AdamW, cosine.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Fraction of steps.")
    seed: int = Field(0, description="Weights, pseudo-questions and order.")


Model = Annotated[
    Llm | ClassMean | Ridge | LightGbm | ResNet50 | Cnn | Gru | Mlp | Ensemble, Field(discriminator="kind")
]
#: The same by name, for a job that is told the settings of one model.
KINDS: Registry[type[Strict]] = Registry(
    {
        "llm": Llm,
        "class_mean": ClassMean,
        "ridge": Ridge,
        "lightgbm": LightGbm,
        "resnet50": ResNet50,
        "cnn": Cnn,
        "gru": Gru,
        "mlp": Mlp,
        "ensemble": Ensemble,
    }
)


# ---------------------------------------------------------------- what is built


class Run(Strict):
    """What `snakemake` without a target builds."""

    tasks: list[str] = Field(min_length=1, description="Names under `tasks`.")
    sizes: list[str] = Field(min_length=1, description="Sizes of any task; each task builds those that it defines.")
    models: list[str] = Field(min_length=1, description="Names under `models`.")
    sets: list[Literal["val", "test", "common"]] = Field(
        ["test"], min_length=1, description="Splits to predict; common is the test split of the smallest size."
    )
    validation: list[Literal["galah", "gaia_eso"]] = Field(
        [], description="External surveys whose matched stars are cleaned too, predicted and judged by their labels."
    )
    validation_limit: int | None = Field(
        None, ge=1, description="Most spectra of an external survey to predict, test stars first; null: all."
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
    apogee_fraction: float = Field(0.8, ge=0, le=1, description="Stars that APOGEE has observed.")
    seed: int = Field(1, description="The same seed gives the same bytes.")


class Config(Strict):
    """The whole configuration."""

    results: PathText = Field("results", description="Folder of everything that is made.")
    state: OptionalPath = Field(None, description="Checkpoints and finished work; null: <results>/state.")
    seed: int = Field(20260523, description="Decides splits, folds and samples.")
    mock: Mock | None = Field(None, description="Make a mock release under <results>/mock; null for real data.")
    surveys: Surveys
    match: Match = Match()
    spectra: Recipe = Recipe()
    split: Split = Split()
    select: Select = Select()
    tasks: dict[Name, Task]
    encodings: dict[Name, Encoding]
    qa: Qa = Qa()
    bases: dict[Name, TinyBase] = Field({})
    models: dict[Name, Model]
    run: Run
    tables: Tables = Tables()
    degradation: Degradation = Degradation()
    repeats: Repeats = Repeats()
    scaling: Scaling = Scaling()

    @property
    def state_dir(self) -> str:
        """Folder of checkpoints and finished work."""
        return self.state or f"{self.results}/state"
