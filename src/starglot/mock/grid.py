"""Synthetic spectra by the mock's own engine, in which every abundance is drawn on its own.

In a survey the elements follow each other, and a model that learns from it learns what goes together.  Here nothing
goes together but an element and its lines.  Seen as the survey sees its stars: resolution, velocity, extinction,
calibration and noise are those of the mock release.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from starglot.labels import ABUNDANCE_NAMES, CLASSES
from starglot.mock.population import draw_stars, generator
from starglot.mock.survey import BLOCK, observe, synthesise
from starglot.mock.synthesis import grid
from starglot.tables import atomic_path

#: [X/Fe] of every element is drawn evenly from this to both sides of 0 (dex): as far as stars have it, and a step of
#: the own-line test more.
WIDEST = 0.7

#: Stars from here on are in no release and no other test.
_FIRST_STAR = 60_000_000
#: The draw of abundances, among those that generators are named by.
_DRAW = 20


def synthetic_grid(spectra: int, snr: tuple[float, float], seed: int) -> dict[str, np.ndarray]:
    """Arrays of a grid of so many ``spectra``, as docs/synthetic.md has them; bad pixels have no error.

    snr: range of the g-band S/N; Teff, log g and [Fe/H] are those of mock stars.  Spectrum k does not depend on how
    many there are.
    """
    parts: list[dict[str, np.ndarray]] = []
    for first in range(0, spectra, BLOCK):
        stars = draw_stars(_FIRST_STAR + first, _FIRST_STAR + first + BLOCK, seed)
        own = [generator(seed, _DRAW, int(star)) for star in stars.star]
        xfe = np.stack([each.uniform(-WIDEST, WIDEST, len(ABUNDANCE_NAMES)) for each in own])
        stars = replace(stars, xfe=xfe)
        seen = observe(synthesise(stars), stars, np.zeros(BLOCK, int), snr, seed)
        beyond = np.arange(seen.flux.shape[1]) >= seen.n_pixels[:, None]
        with np.errstate(divide="ignore"):
            error = np.where((seen.mask == 0) & (seen.ivar > 0) & ~beyond, 1 / np.sqrt(seen.ivar), np.nan)
        level = np.median(seen.flux, axis=1, keepdims=True)
        parts.append(
            {
                "flux": (seen.flux / level).astype(np.float32),
                "error": (error / level).astype(np.float32),
                "snr": seen.snr["g"],
                "star": stars.star,
                "class": np.array(CLASSES)[stars.target],
                "teff": stars.teff,
                "logg": stars.logg,
                "feh": stars.feh,
                **{name: stars.xfe[:, at] for at, name in enumerate(ABUNDANCE_NAMES)},
            }
        )
    joined = {name: np.concatenate([part[name] for part in parts])[:spectra] for name in parts[0]}
    return {"wavelength": grid().astype(np.float64), "medium": np.array("vacuum"), **joined}


def write_grid(arrays: dict[str, np.ndarray], path: str | Path) -> None:
    """Write a grid as npz; equal arrays give equal bytes."""
    with atomic_path(path) as partial, open(partial, "wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]
