"""Settings of what other surveys see of the mock's stars: DESI and Gaia XP."""

from __future__ import annotations

from pydantic import Field

from starglot.config.strict import Strict


class MockDesi(Strict):
    """Stars of the mock that DESI observes, too, in coadd files, with its catalogue of labels."""

    fraction: float = Field(0.6, gt=0, le=1, description="Stars that it observes.")
    snr: tuple[float, float] = Field(
        (20.0, 100.0), description="Range of the median S/N per pixel of arm B, drawn evenly in its logarithm."
    )
    targets: int = Field(100, ge=1, le=500, description="Stars in a coadd file; sky fibres come on top.")


class MockGaiaXP(Strict):
    """Stars of the mock with a Gaia id that have a sampled XP spectrum."""

    fraction: float = Field(0.9, gt=0, le=1, description="Stars that have one.")
