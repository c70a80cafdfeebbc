"""Settings of synthetic spectra: grids of parameters and spectra, by whatever code computed them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from starglot.config.surveys.common import SpectrumSurvey
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES

#: A grid's name becomes that of a shard, a wildcard of the workflow.
_GridName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*\.(npz|parquet)$", max_length=120)]


def _apart(grids: list[str]) -> list[str]:
    stems = [name.partition(".")[0] for name in grids]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise ValueError(f"two grids are called {', '.join(twice)}; rename one of them")
    return grids


class Synthetic(SpectrumSurvey):
    """Synthetic spectra and the parameters that they were computed for (docs/synthetic.md)."""

    title: ClassVar[str] = "Synthetic"
    brings: ClassVar[tuple[str, ...]] = (*ATMOSPHERE_NAMES, *ABUNDANCE_NAMES)
    places: ClassVar[tuple[str, ...]] = ("shard", "grid", "row")
    mock_part: ClassVar[str] = "synthetic"
    own_ids: ClassVar[tuple[str, ...]] = ("model_star",)
    first_bytes: ClassVar[tuple[bytes, ...]] = (b"PK\x03\x04", b"PAR1")

    grids: Annotated[list[_GridName], AfterValidator(_apart)] = Field(
        min_length=1,
        description="Files below `spectra`, .npz or .parquet, each with spectra and their parameters. Add new ones "
        "at the end: a spectrum's obsid counts the files before it.",
    )

    @property
    def catalogs(self) -> dict[str, str]:
        """The grids, by their place in the list."""
        return {f"grids.{place}": f"{self.spectra}/{name}" for place, name in enumerate(self.grids)}

    def of_catalog(self) -> dict[str, Any]:
        """As of every survey; the parameters stand in the files of the spectra, so their folder counts."""
        return {**super().of_catalog(), "spectra": self.spectra}
