"""Test spectra altered in one way, as a prediction set of its own: does a model hold where it was not trained?"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.interpolate import CubicSpline
from tqdm import tqdm

from starglot.config.degradation import Change
from starglot.config.recipes import Recipe
from starglot.errors import StarglotError
from starglot.mock.sdss_files import write_sdss_spectrum
from starglot.samples.order import drawing_order
from starglot.spectra.clean import clean, resampling
from starglot.spectra.degrade import add_noise, broaden, doppler, outside, survey_pixels, tilt
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.resample import wavelength_grid
from starglot.surveys.sdss_spectrum import read_sdss_spectrum
from starglot.tables import FLUX_SCALE, REJECTED, SAMPLE, read_spectra, spectra_table

log = logging.getLogger(__name__)

#: Spectra that are altered together; bounds memory.
_BLOCK = 256
#: S/N of an SDSS file whose spectrum has none in the catalogue: it tells ivar, which only has to be positive.
_SNR = 100.0


@dataclass(frozen=True)
class Altered:
    """A prediction set: cleaned spectra, their labels, the sample (one split, the set's name), and what is lost."""

    spectra: pa.Table
    labels: pa.Table
    sample: pa.Table
    rejected: pa.Table


def alter_test_spectra(
    sample: pa.Table,
    labels: pa.Table,
    shard_path: Callable[[str], Path],
    recipe: Recipe,
    change: Change,
    native: float,
    limit: int,
    seed: int,
    name: str,
) -> Altered:
    """``change`` applied to the first ``limit`` test spectra of ``sample`` in drawing order, then cleaning anew.

    sample: ``tables.SAMPLE``; labels: obsid, shard, snr_r and more, of at least its spectra; shard_path: a shard's
    cleaned spectra; native: their resolving power; name: of the set, its split and its one shard.  The same
    spectra are drawn for every change.  A spectrum that cleaning refuses after the change is in ``rejected``.

    Cleaning is that of ``recipe``, with two exceptions.  Where pixels are missing at an end, the end value is held
    over any distance; ``recipe.max_edge`` would refuse such spectra.  A recipe without resampling brings what was
    altered back to its grid by a cubic, as at another velocity or in another format the pixels are others.
    Raises StarglotError when there is no test spectrum, or none that cleaning accepts.
    """
    test = sample.filter(pc.equal(sample["split"], "test"))
    if not len(test):
        raise StarglotError(
            "the sample has no test spectra to alter", where=f"{len(sample)} spectra", todo="take a larger sample"
        )
    first = drawing_order(test["star_id"], test["obsid"].to_numpy(), seed)[:limit]
    drawn = test.take(pa.array(np.sort(first))).sort_by("obsid")
    known = labels.take(pc.index_in(drawn["obsid"], value_set=labels["obsid"].combine_chunks()))
    obsid = drawn["obsid"].to_numpy()
    snr = known["snr_r"].to_numpy(zero_copy_only=False).astype(float)
    shards = sorted(set(known["shard"].to_pylist()))
    stored = read_spectra([shard_path(shard) for shard in shards], obsid)

    patient = resampling(recipe).model_copy(update={"max_edge": float("inf")})
    rows, cleaned, reasons = np.empty_like(stored), np.zeros(len(obsid), bool), []
    for start in tqdm(range(0, len(obsid), _BLOCK), f"alter, {name}", unit="block", mininterval=2):
        here = slice(start, start + _BLOCK)
        observed = _observed(stored[here] / FLUX_SCALE, snr[here], obsid[here], recipe, change, native, seed)
        for row, spectrum in enumerate(observed, start):
            try:
                rows[row], _ = clean(spectrum, patient)
                cleaned[row] = True
            except SpectrumRejected as why:
                reasons.append((int(obsid[row]), why.reason, why.detail))
    if not cleaned.any():
        raise StarglotError(
            f"cleaning accepts no spectrum after the change '{name}'",
            where=f"first: {reasons[0][1]}: {reasons[0][2]}",
            todo="make the change of degradation.changes smaller",
        )
    log.info("%s: %d of %d spectra, %d rejected", name, int(cleaned.sum()), len(obsid), len(reasons))
    mask = pa.array(cleaned)
    drawn, known = drawn.filter(mask), known.filter(mask)
    lost = pa.array(np.zeros(len(drawn), np.int32))
    named = pa.array([name] * len(drawn), pa.string())
    return Altered(
        spectra=spectra_table(drawn["obsid"], drawn["star_id"], rows[cleaned], lost),
        labels=known.set_column(known.column_names.index("shard"), "shard", named),
        sample=drawn.set_column(SAMPLE.get_field_index("split"), "split", named).cast(SAMPLE),
        rejected=pa.table([list(column) for column in zip(*reasons, strict=True)] or [[], [], []], schema=REJECTED),
    )


def _observed(
    flux: np.ndarray, snr: np.ndarray, obsid: np.ndarray, recipe: Recipe, change: Change, native: float, seed: int
) -> list[RawSpectrum]:
    """What a telescope would have delivered of spectra that are flux (n, grid) now."""
    grid = wavelength_grid(recipe.wavelength)
    wavelength = grid * doppler(change.velocity)
    if change.resolution is not None:
        flux = broaden(flux, wavelength, change.resolution, native)
    if change.tilt:
        flux = tilt(flux, wavelength, change.tilt)
    if change.snr is not None:
        flux = add_noise(flux, wavelength, snr, change.snr, [(seed, int(each)) for each in obsid])
    good = outside(wavelength, change.missing)
    if change.format == "sdss":
        return _through_sdss(wavelength, flux, good, snr if change.snr is None else np.fmin(snr, change.snr))
    none = np.zeros(len(wavelength), np.int64)
    return [RawSpectrum(wavelength, row, good.astype(float), none) for row in flux]


def _through_sdss(wavelength: np.ndarray, flux: np.ndarray, good: np.ndarray, snr: np.ndarray) -> list[RawSpectrum]:
    """The spectra on SDSS's pixels, written as its files and read back from them."""
    pixels = survey_pixels(wavelength[0], wavelength[-1])
    pixels = pixels[(pixels >= wavelength[0]) & (pixels <= wavelength[-1])]
    onto = CubicSpline(wavelength, flux, axis=1)(pixels)
    held = np.interp(pixels, wavelength, good.astype(float)) == 1.0
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for fiber, (row, ratio) in enumerate(zip(onto, snr, strict=True), start=1):
            level = ratio if np.isfinite(ratio) and ratio > 0 else _SNR
            # Plate and day are those of a real file; no spectrum is known by them here.
            path = write_sdss_spectrum(pixels, row, level, 266, 51602, fiber, Path(folder))
            raw = read_sdss_spectrum(path)
            found.append(RawSpectrum(raw.wavelength, raw.flux, raw.ivar * held, raw.mask))
    return found
