"""Settings of DESI's Milky Way Survey: coadded spectra of stars, and the catalogue of what its pipelines measure."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from starglot.config.strict import PathText
from starglot.config.surveys.common import SnrCuts, SpectrumSurvey
from starglot.labels import ATMOSPHERE_NAMES


class Desi(SpectrumSurvey):
    """DESI coadds by healpix and the Milky Way Survey's catalogue ``mwsall-pix`` (EDR, DR1)."""

    title: ClassVar[str] = "DESI"
    brings: ClassVar[tuple[str, ...]] = (*ATMOSPHERE_NAMES, "alpha_fe")
    places: ClassVar[tuple[str, ...]] = ("shard",)
    own_ids: ClassVar[tuple[str, ...]] = ("targetid",)
    in_folders: ClassVar[str] = "<survey> folders"
    mock_part: ClassVar[str] = "desi"

    release: str = Field("dr1", description="Named in manifests and captions.")
    catalog: PathText = Field(description="mwsall-pix-fuji.fits (EDR) or mwsall-pix-iron.fits (DR1).")
    spectra: PathText = Field(
        description="The release's `healpix` folder: <survey>/<program>/<pixel/100>/<pixel>/coadd-*.fits; or a "
        "folder with SPARCL's records as Parquet, npz or CSV, with a column targetid."
    )
    coverage: tuple[float, float] = Field(
        (3600.0, 9824.0), description="Wavelengths (A, vacuum) of the three arms; the grid must lie inside."
    )
    snr_min: SnrCuts = Field(
        {"g": 20.0},
        description="Least median S/N of the coadd by arm, named by its band: g for B, r for R, z for Z.",
    )
    labels: Literal["sp", "rv"] = Field(
        "sp", description="Whose labels the table has: FERRE's (SPTAB) or RVSpecFit's (RVTAB)."
    )
    calibrated: bool = Field(
        True, description="Correct [Fe/H] of `sp` as the DR1 catalogue's paper does; null where that is not defined."
    )

    @property
    def download(self) -> str:
        """The folder of the release's catalogue; the spectra are below `spectro/redux` of the same server."""
        place = "edr/vac/edr/mws/fuji/v1.0" if self.release == "edr" else "dr1/vac/dr1/mws/iron/v1.0"
        return f"https://data.desi.lbl.gov/public/{place}/"

    @property
    def catalogs(self) -> dict[str, str]:
        """The one catalogue."""
        return {"catalog": self.catalog}
