"""Settings of SDSS: galaxies, quasars and stars, with their redshifts."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from starglot.config.strict import OptionalPath, PathText
from starglot.config.surveys.common import SpectrumSurvey


class Sdss(SpectrumSurvey):
    """SDSS, BOSS and eBOSS spectra and the specObj catalogue.

    The defaults are the selection of "Teaching LLMs to Speak Spectroscopy" (section 2) as far as the catalogue alone
    tells: galaxies at 0 < z < 0.5.
    """

    title: ClassVar[str] = "SDSS"
    brings: ClassVar[tuple[str, ...]] = ("redshift",)
    places: ClassVar[tuple[str, ...]] = ("shard", "plate", "mjd", "fiberid")
    in_folders: ClassVar[str] = "folders of plates"
    mock_part: ClassVar[str] = "galaxies"

    release: str = Field("dr16", description="Named in manifests and captions.")
    catalog: PathText = Field(description="specObj table (specObj-dr16.fits), or a CasJobs table of its columns.")
    spectra: PathText = Field(
        description="Root of the spectra: <plate>/spec-*.fits, or <run2d>/spectra/<plate>/ (also lite/ or full/ "
        "before the plate), as the archive has them."
    )
    coverage: tuple[float, float] = Field(
        (3800.0, 9200.0),
        description="Wavelengths (A, vacuum) that the release covers; the grid must lie inside. BOSS reaches from "
        "3600 to 10400.",
    )
    classes: list[Literal["GALAXY", "QSO", "STAR"]] = Field(
        ["GALAXY"], min_length=1, description="Classes of the pipeline whose redshifts count; others have none."
    )
    redshift: tuple[float, float] = Field(
        (0.0, 0.5), description="Redshifts above the first and below the second count; others are taken as missing."
    )
    zwarning_bits: list[int] | Literal["all"] = Field(
        "all", description="ZWARNING bits that make a redshift missing; bit 4 is MANY_OUTLIERS, harmless to many."
    )
    held_out: list[int] = Field(
        [],
        description="Plates whose redshifts no task learns or is tested with: spectra that a trained model is shown "
        "afterwards, as the prediction set `held_out` (`run: {sets: [test, held_out]}`).",
    )
    photometry: OptionalPath = Field(
        None,
        description="Table of yours with specobjid (or plate, mjd, fiberid), dered_i (or modelmag_i and "
        "extinction_i) and type, as CasJobs writes it: CSV or FITS. Null: no cut in brightness.",
    )
    faintest_i: float = Field(18.0, description="Dereddened i must be below; with `photometry` alone.")
    photometric_type: int = Field(3, description="Type of the image: 3 galaxy, 6 star; with `photometry` alone.")

    @property
    def download(self) -> str:
        """The release's table; the spectra are beside it."""
        return f"https://data.sdss.org/sas/{self.release}/sdss/spectro/redux/"

    @property
    def catalogs(self) -> dict[str, str]:
        """The catalogue, and the table of magnitudes where there is one."""
        return {"catalog": self.catalog, **({} if self.photometry is None else {"photometry": self.photometry})}

    @property
    def objects(self) -> str:
        """Galaxies, quasars or stars, where one class counts alone."""
        named = {"GALAXY": "galaxies", "QSO": "quasars", "STAR": "stars"}
        return named[self.classes[0]] if len(set(self.classes)) == 1 else "objects"

    @property
    def holds_out(self) -> bool:
        """Whether plates are named."""
        return bool(self.held_out)
