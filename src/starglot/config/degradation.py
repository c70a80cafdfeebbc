"""Settings of the degradation table: what trained models are tried on that they were not trained for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from starglot.config.strict import Name, Strict

#: How the names of prediction sets of altered test spectra begin.
ALTERED = "test-"


class Change(Strict):
    """One change of the test spectra, by one means or several; nothing is trained anew."""

    name: Name = Field(description="Names the prediction set `test-<name>`.")
    resolution: float | None = Field(
        None,
        gt=0,
        description="Resolving power (lambda / FWHM) that the spectra are broadened to; below their own.",
    )
    snr: float | None = Field(
        None,
        gt=0,
        description="S/N per pixel in the r band after added noise; a spectrum that has no more is left as it is.",
    )
    missing: list[tuple[float, float]] = Field(
        [],
        description="Windows (A) without data, filled as cleaning fills gaps, with the end value at an end of the "
        "grid; one outside the grid changes nothing.",
    )
    velocity: float = Field(0.0, ge=-1000, le=1000, description="Radial velocity added (km/s, positive: receding).")
    tilt: float = Field(0.0, ge=-1, le=1, description="Error of the flux calibration, red end less blue end.")
    format: Literal["sdss"] | None = Field(
        None, description="Written as another survey's file on its pixels, and read back by its reader."
    )

    @property
    def set(self) -> str:
        """Name of its prediction set."""
        return f"{ALTERED}{self.name}"

    @property
    def words(self) -> str:
        """What it does, in words."""
        parts = [f"{self.velocity:+g} km/s"] if self.velocity else []
        parts += [f"resolution {self.resolution:g}"] if self.resolution else []
        parts += [f"flux tilted by {100 * self.tilt:+g} % end to end"] if self.tilt else []
        parts += [f"S/N {self.snr:g}"] if self.snr else []
        parts += [f"no data from {low:g} to {high:g} A" for low, high in self.missing]
        parts += [f"in the format of {self.format.upper()}"] if self.format else []
        return ", ".join(parts)


def in_words(changes: Iterable[Change]) -> str:
    """What each of the changes does, by its name, for the notes of a table."""
    return "; ".join(f"{change.name}: {change.words}" for change in changes)


class Degradation(Strict):
    """Trained models on altered spectra of test stars: `snakemake degradation`."""

    resolution: float = Field(1800.0, gt=0, description="Resolving power of the survey's spectra (LAMOST: 1800).")
    limit: Annotated[int, Field(ge=1)] = Field(
        2000, description="Most test spectra of a task's largest size; each change is predicted by every model."
    )
    changes: list[Change] = Field([], description="The table's rows, in this order; an overlay replaces the list.")
