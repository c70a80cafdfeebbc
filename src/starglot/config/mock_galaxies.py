"""Settings of the mock of galaxies."""

from __future__ import annotations

from pydantic import Field

from starglot.config.strict import Strict


class MockGalaxies(Strict):
    """Galaxies in SDSS's file formats: a specObj table, spec files by plate, a table of magnitudes."""

    number: int = Field(ge=20, le=1_000_000, description="Galaxies; every tenth is observed on two plates.")
    plates: int = Field(8, ge=1, le=500, description="Plates, each a shard of its own, of 640 spectra at most.")
    broken: int = Field(16, ge=0, description="Spectra broken, or classified wrongly, in ways that happen.")
    snr: tuple[float, float] = Field(
        (5.0, 40.0), description="Range of the median S/N per pixel, drawn evenly in its logarithm."
    )
    redshift: tuple[float, float] = Field((0.005, 0.6), description="Range of the redshifts.")
    seed: int = Field(1, description="The same seed gives the same bytes.")
