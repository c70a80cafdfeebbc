"""Surveys: what each one brings, where its files are, its releases, flags and cuts.

A survey is a class of settings and a field of :class:`Surveys`; its readers are in `starglot.surveys`
(docs/extending.md).
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pydantic import Field

from starglot.config.strict import OptionalPath, PathText, Strict
from starglot.config.surveys.common import OneCatalog, SnrCuts, SpectrumSurvey, Survey
from starglot.config.surveys.desi import Desi
from starglot.config.surveys.gaia_xp import GaiaXP
from starglot.config.surveys.sdss import Sdss
from starglot.config.surveys.synthetic import Synthetic
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES


class Lamost(SpectrumSurvey):
    """LAMOST low-resolution spectra and catalogues (paper 2.1)."""

    title: ClassVar[str] = "LAMOST"
    brings: ClassVar[tuple[str, ...]] = ATMOSPHERE_NAMES
    account: ClassVar[str] = "LAMOST, free"
    in_mock: ClassVar[bool] = True
    places: ClassVar[tuple[str, ...]] = ("shard", "obsdate", "spid", "fiberid")
    own_ids: ClassVar[tuple[str, ...]] = ("gp_id", "uid")
    in_folders: ClassVar[str] = "<obsdate> folders"

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

    @property
    def download(self) -> str:
        """The page of the releases."""
        return "https://www.lamost.org/dr11 (the release that surveys.lamost.release names)"

    @property
    def catalogs(self) -> dict[str, str]:
        """The catalogues of A to K and of M stars."""
        return {"stellar": self.stellar, **({} if self.mstellar is None else {"mstellar": self.mstellar})}


class Apogee(OneCatalog):
    """APOGEE allStar catalogue, the labels of the second stage (paper 2.2)."""

    title: ClassVar[str] = "APOGEE"
    brings: ClassVar[tuple[str, ...]] = (*ATMOSPHERE_NAMES, "alpha_fe", *ABUNDANCE_NAMES)
    star: ClassVar[str] = "apogee_id"
    in_mock: ClassVar[bool] = True

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

    @property
    def download(self) -> str:
        """The release's allStar file."""
        files = {
            "dr12": "dr12/apogee/spectro/redux/r5/allStar-v603.fits",
            "dr16": "dr16/apogee/spectro/aspcap/r12/l33/allStar-r12-l33.fits",
            "dr17": "dr17/apogee/spectro/aspcap/dr17/synspec_rev1/allStar-dr17-synspec_rev1.fits",
        }
        return f"https://data.sdss.org/sas/{files[self.release]}"


class Galah(OneCatalog):
    """GALAH DR4 allstar catalogue, external validation (paper 5.2)."""

    title: ClassVar[str] = "GALAH DR4"
    brings: ClassVar[tuple[str, ...]] = (
        *ATMOSPHERE_NAMES,
        *("c_fe", "n_fe", "o_fe", "mg_fe", "al_fe", "si_fe", "mn_fe", "ni_fe", "ca_fe"),
        *("na_fe", "k_fe", "ti_fe", "cr_fe", "co_fe", "cu_fe", "v_fe", "ce_fe"),
    )
    star: ClassVar[str] = "source_id"
    in_mock: ClassVar[bool] = True

    release: Literal["dr4"] = Field("dr4", description="Its columns, flags and Gaia ids (DR3).")
    catalog: PathText = Field(description="galah_dr4_allstar FITS file.")
    snr_min: float = Field(30.0, description="Least snr_px_ccd3 (paper 5.2, with the column's real name).")

    @property
    def download(self) -> str:
        """The folder of the release."""
        return "https://cloud.datacentral.org.au/teamdata/GALAH/public/GALAH_DR4/"


class GaiaEso(OneCatalog):
    """Gaia-ESO DR5 catalogue, external validation (paper 5.2)."""

    title: ClassVar[str] = "Gaia-ESO"
    brings: ClassVar[tuple[str, ...]] = (
        *ATMOSPHERE_NAMES,
        *("c_fe", "n_fe", "o_fe", "mg_fe", "al_fe", "si_fe", "s_fe", "mn_fe", "ni_fe", "ca_fe", "na_fe"),
        *("k_fe", "ti_fe", "tiii_fe", "cr_fe", "co_fe", "cu_fe", "v_fe", "ce_fe"),
    )
    star: ClassVar[str] = "source_id"
    account: ClassVar[str] = "ESO, free, if asked"
    in_mock: ClassVar[bool] = True

    release: Literal["dr5"] = Field("dr5", description="Its columns; Gaia ids count where the file has them.")
    catalog: PathText = Field(description="Gaia-ESO public catalogue, FITS.")
    solar_scale: Literal["grevesse2007", "asplund2009"] = Field(
        "grevesse2007", description="Solar abundances that turn A(X) into [X/Fe]."
    )

    @property
    def download(self) -> str:
        """The archive that has it."""
        return "ESO Science Archive, https://www.eso.org/rm/publicAccess#/dataReleases"


class Surveys(Strict):
    """Sources of spectra and labels; set a survey to null to do without it."""

    lamost: Lamost | None = None
    apogee: Apogee | None = None
    galah: Galah | None = None
    gaia_eso: GaiaEso | None = None
    desi: Desi | None = None
    gaia_xp: GaiaXP | None = None
    sdss: Sdss | None = None
    synthetic: Synthetic | None = None

    def named(self) -> dict[str, Survey]:
        """The surveys that are configured, by name."""
        return {name: survey for name in type(self).model_fields if (survey := getattr(self, name)) is not None}

    @classmethod
    def with_spectra_known(cls) -> list[str]:
        """All surveys whose spectra can be read, configured or not."""
        kinds = {name: get_args(field.annotation)[0] for name, field in cls.model_fields.items()}
        return [name for name, kind in kinds.items() if issubclass(kind, SpectrumSurvey)]

    def with_spectra(self) -> dict[str, SpectrumSurvey]:
        """Those of them whose spectra are read."""
        return {name: survey for name, survey in self.named().items() if isinstance(survey, SpectrumSurvey)}
