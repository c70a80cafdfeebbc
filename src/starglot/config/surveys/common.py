"""What the settings of all surveys have in common: what a survey brings, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from starglot.config.strict import PathText, Strict

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


class Survey(Strict):
    """A survey whose catalogue is read: tasks learn its labels, or are judged by them."""

    #: What captions and messages call it.
    title: ClassVar[str]
    #: The labels of its table: what a task can learn from it, or be judged by.
    brings: ClassVar[tuple[str, ...]]
    #: The column of its table that names a star.
    star: ClassVar[str]
    #: Who may have its files.
    account: ClassVar[str] = "none"
    #: Whether the mock release has files of it.
    in_mock: ClassVar[bool] = False
    #: The part of `mock` that is a release of its own with files of this survey; '' where there is none.
    mock_part: ClassVar[str] = ""
    #: How its files begin, where they are neither FITS nor text.
    first_bytes: ClassVar[tuple[bytes, ...]] = ()

    @property
    def download(self) -> str:
        """Where its files are had from."""
        return "your own files"

    @property
    def catalogs(self) -> dict[str, str]:
        """Its catalogue files, by key of the configuration."""
        raise NotImplementedError

    def of_catalog(self) -> dict[str, Any]:
        """The settings that decide its table, as JSON-able data from which the class can be made again."""
        return self.model_dump(mode="json")


class OneCatalog(Survey):
    """A survey whose table is made of one file."""

    catalog: PathText

    @property
    def catalogs(self) -> dict[str, str]:
        """The one file."""
        return {"catalog": self.catalog}


class SpectrumSurvey(Survey):
    """A survey whose spectra are read, too."""

    star: ClassVar[str] = "star_id"
    #: Columns of its table without which a row's file cannot be named.
    places: ClassVar[tuple[str, ...]] = ("shard",)
    #: Columns with its own names of a star, the best first; a star without a Gaia id is called by them.
    own_ids: ClassVar[tuple[str, ...]] = ()
    #: What the folders are called that the root of its spectra holds; '' where it holds files.
    in_folders: ClassVar[str] = ""

    release: str = Field(description="Named in manifests and captions.")
    spectra: PathText = Field(description="Root of the spectra.")
    gaia_release: Literal["dr2", "dr3"] = Field(
        "dr3", description="Release that gaia_source_id is of; ids of another release are not compared."
    )
    coverage: tuple[float, float] = Field(
        description="Wavelengths (A, vacuum) that the release covers; the grid must lie inside."
    )
    class_counts: dict[str, int] | None = Field(
        None,
        description="Labelled spectra by class in the release (paper 2.1); larger samples are refused.",
    )
    snr_min: SnrCuts = Field({}, description="Least S/N by band; `{}` or null is no cut.")
    source: str | None = Field(
        None,
        description="Where the files were had from, in words, for `make check`; null: the survey's own archive. For "
        "files that are laid out like the survey's and are not its own.",
    )

    @property
    def objects(self) -> str:
        """What its spectra are of, for captions and reports (``starglot.evaluation.presentation.said_of``)."""
        return "stars"

    @property
    def holds_out(self) -> bool:
        """Whether some of its spectra, with labels, are held out from what tasks learn and are tested with."""
        return False

    def of_catalog(self) -> dict[str, Any]:
        """As above; which bands are cut on decides what a catalogue must have, how hard which rows are taken."""
        settings = self.model_dump(mode="json", exclude={"class_counts", "source"})
        return settings | {"spectra": "", "coverage": (0.0, 0.0), "snr_min": dict.fromkeys(self.snr_min, 0.0)}
