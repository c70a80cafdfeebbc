"""Settings of Gaia's low-resolution XP spectra."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from starglot.config.strict import PathText
from starglot.config.surveys.common import SpectrumSurvey


class GaiaXP(SpectrumSurvey):
    """Gaia DR3 sampled mean spectra of BP and RP: 343 values from 336 to 1020 nm."""

    title: ClassVar[str] = "Gaia XP"
    brings: ClassVar[tuple[str, ...]] = ()
    mock_part: ClassVar[str] = "gaia_xp"

    release: str = Field("dr3", description="Named in manifests and captions; source ids and sampling are DR3's.")
    catalog: PathText = Field(description="The sources whose spectra are wanted: source_id, ra, dec; FITS or CSV.")
    spectra: PathText = Field(
        description="Folder of sampled spectra: files of the archive or of GaiaXPy, in CSV, ECSV, FITS or VOTable."
    )
    gaia_release: Literal["dr3"] = Field("dr3", description="Release of the source ids.")
    level: int = Field(
        3, ge=0, le=8, description="Shards are HEALPix pixels of this level: 12 x 4^level, 768 on the whole sky."
    )
    coverage: tuple[float, float] = Field((3360.0, 10200.0), description="Wavelengths (A) of the sampling.")

    @property
    def download(self) -> str:
        """The archive's folder of all spectra; a query at gea.esac.esa.int gives those of chosen sources."""
        return "https://cdn.gea.esac.esa.int/Gaia/gdr3/Spectroscopy/xp_sampled_mean_spectrum/"

    @property
    def catalogs(self) -> dict[str, str]:
        """The one table of sources."""
        return {"catalog": self.catalog}
