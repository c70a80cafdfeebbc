"""Recipes without resampling: a spectrum's own pixels or a rejection, and patch tokens and text made of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from starglot.config.degradation import Change
from starglot.config.kinds.patch_llm import PixelAugment
from starglot.config.patches import Patches
from starglot.config.root import Encoding, Recipe, Wavelength
from starglot.inference.single import read_singles
from starglot.language.codec import Codec
from starglot.language.prompts import parse_question, question
from starglot.models.projector import Projector, statistics_of
from starglot.samples.altered import alter_test_spectra
from starglot.spectra.clean import clean
from starglot.spectra.envelope import over_envelope
from starglot.spectra.pixels import crossed, pixels, redraw_pixels
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.resample import wavelength_grid
from starglot.tables import SAMPLE, flux_matrix, spectra_table, write_parquet
from tasks import task_of

#: LAMOST's pixels as its files have them, in 32 bits, and those from 3802 to 8700 A.
LAMOST = (10 ** (float(np.float32(3.5682)) + 1e-4 * np.arange(3909))).astype(np.float32).astype(float)
WHOLE = Wavelength(start=3801.894, stop=8699.6143, size=3596, log=True)
FIRST = 118
OWN = slice(FIRST, FIRST + WHOLE.size)
#: A part of them, for what need not be long.
PART = Wavelength(start=round(LAMOST[1000], 4), stop=round(LAMOST[1399], 4), size=400, log=True)
SHORT = LAMOST[900:1500]


def native(wavelength: Wavelength = PART, **changes: Any) -> Recipe:
    return Recipe.model_validate({"wavelength": wavelength.model_dump(), "interpolation": "none", **changes})


def observed(wavelength: np.ndarray = SHORT, seed: int = 0, **changes: np.ndarray) -> RawSpectrum:
    rng = np.random.default_rng(seed)
    n = len(wavelength)
    arrays = {"flux": 100 + 10 * rng.normal(size=n), "ivar": np.ones(n), "mask": np.zeros(n, np.int64)}
    return RawSpectrum(wavelength=wavelength, **{**arrays, **changes})


def rejected(raw: RawSpectrum, recipe: Recipe) -> SpectrumRejected:
    with pytest.raises(SpectrumRejected) as why:
        clean(raw, recipe)
    return why.value


def rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(1000 * values)


# ---------------------------------------------------------------- rows


def test_recipes_that_resample_are_written_as_before() -> None:
    """What results are known by: a name more that a key may have is no other recipe."""
    assert Recipe().model_dump(mode="json") == {
        "wavelength": {"start": 3800.0, "stop": 8700.0, "step": 1.0},
        "mask_bits": "all",
        "normalisation": "max",
        "interpolation": "cubic",
        "max_gap": 30.0,
        "max_edge": 5.0,
        "min_good": 0.5,
    }


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    masked=st.lists(st.integers(0, 599), max_size=200),
    gap=st.integers(0, 70),
    at=st.integers(130, 400),
)
def test_masked_pixels_change_themselves_alone(seed: int, masked: list[int], gap: int, at: int) -> None:
    raw = observed(seed=seed)
    good = np.ones(600, bool)
    good[masked] = False
    good[at : at + gap] = False
    good[[int(raw.flux.argmax()), 98, 501]] = True  # the scale stays, and the ends are near
    row, number = clean(
        observed(seed=seed, mask=np.where(good, 0, 4), flux=np.where(good, raw.flux, 1e30)), native(min_good=0.0)
    )
    x, y = raw.wavelength[good], raw.flux[good] / raw.flux.max()
    filled = CubicSpline(x, y)(raw.wavelength)
    for left, right in pairwise(x):
        if right - left > 30:
            between = (raw.wavelength > left) & (raw.wavelength < right)
            filled[between] = np.interp(raw.wavelength[between], x, y)
    expected = 1000 * np.where(good, raw.flux / raw.flux.max(), filled)[100:500]
    assert number == (~good).sum()
    assert np.array_equal(row[good[100:500]], np.rint(expected)[good[100:500]])
    assert np.abs(row - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("by", ["max", "median", "p99", {"at": 4700.0}])
def test_flux_is_as_it_was_but_for_the_scale(by: Any) -> None:
    raw = observed()
    row, _ = clean(raw, native(normalisation=by, max_edge=0.0))
    scale = {"max": np.max, "median": np.median, "p99": lambda y: np.percentile(y, 99)}
    divisor = np.interp(4700.0, raw.wavelength, raw.flux) if isinstance(by, dict) else scale[by](raw.flux)
    np.testing.assert_array_equal(row, rounded((raw.flux / divisor)[100:500]))


@pytest.mark.parametrize("span", [(4600.0, 5200.0), (PART.start, PART.stop)])
def test_flux_over_an_envelope_is_over_the_envelope_of_the_survey_or_of_the_grid(span: tuple[float, float]) -> None:
    raw = observed()
    row, _ = clean(raw, native(normalisation={"envelope": span}))
    # Where the range is the grid's, pixels in 32 bits may end a hair outside of it.
    inside = (raw.wavelength > span[0] - 0.01) & (raw.wavelength < span[1] + 0.01)
    over = np.full(600, np.nan)
    over[inside] = over_envelope(raw.wavelength[inside], raw.flux[inside])
    np.testing.assert_array_equal(row, rounded(over[100:500]))
    row, _ = clean(raw, native(normalisation={"envelope": span, "fitted": "grid"}))
    on_grid = over_envelope(raw.wavelength[100:500], raw.flux[100:500])
    np.testing.assert_array_equal(row, rounded(on_grid))


def test_the_end_value_is_held_where_the_spectrum_ends_early() -> None:
    raw = observed(SHORT[103:498])
    row, _ = clean(raw, native())
    assert row[:3].tolist() == [row[3]] * 3 and row[-2:].tolist() == [row[-3]] * 2
    np.testing.assert_array_equal(row[3:-2], rounded(raw.flux / raw.flux.max()))
    assert rejected(observed(SHORT[120:]), native()).reason == "range_not_covered"


def test_wavelengths_in_32_bits_lie_on_the_grid_and_other_pixels_do_not() -> None:
    for exact in (10 ** (3.5682 + 1e-4 * np.arange(3909)), 10 ** np.float32(3.5682 + 1e-4 * np.arange(3909)), LAMOST):
        row, _ = clean(observed(exact.astype(float)), native(WHOLE, max_edge=0.0))
        assert len(row) == 3596
    by = np.random.default_rng(0).random(600) > 0.5
    faults = {
        "shifted by a tenth of a pixel": observed(SHORT * 10**1e-5),
        "at another velocity": observed(SHORT * (1 + 50 / 3e5)),
        "every other one": observed(SHORT[::2]),
        "twice as many": observed(np.sort(np.concatenate([SHORT, SHORT[:-1] + np.diff(SHORT) / 2]))),
        "half of them": observed(SHORT[by]),
        "of another survey": observed(np.arange(4500.0, 5300.0, 0.8)),
        "one missing": observed(np.delete(SHORT, 250)),
        "one more": observed(np.insert(SHORT, 250, (SHORT[249] + SHORT[250]) / 2)),
        "one more at the end": observed(np.append(SHORT[:450], SHORT[449] + 0.5)),
        "a blind one missing": observed(np.delete(SHORT, 250), mask=np.where(np.arange(599) == 249, 4, 0)),
    }
    for name, raw in faults.items():
        why = rejected(raw, native(max_edge=100.0))
        assert why.reason == "other_pixels" and " A" in why.detail, name
    assert rejected(faults["one missing"], native()).detail.startswith("1 of 400 wavelengths of the grid")
    assert rejected(faults["one more"], native()).detail.startswith("1 of 401 pixels on the grid's range")


def test_nothing_between_two_values_of_the_grid_is_read_as_a_spectrum_of_it() -> None:
    raw = observed(np.linspace(SHORT[200] + 0.2, SHORT[201] - 0.2, 6))
    as_far_as_it_takes = native().model_copy(update={"max_edge": float("inf")})
    assert rejected(raw, as_far_as_it_takes).reason == "other_pixels"


def test_a_spectrum_of_other_pixels_is_told_what_would_help() -> None:
    good = (SHORT, observed().flux)
    shifted = (SHORT * 1.0001, observed().flux)
    in_nanometres = (SHORT / 10, observed().flux)
    fine, other, units = read_singles([good, shifted, in_nanometres], native())
    assert fine.flux is not None and fine.problem is None
    assert other.flux is None and other.reason == "other_pixels"
    assert "interpolation: cubic" in other.problem and "nearest pixel" in other.problem
    assert "nanometres" in units.problem


# ---------------------------------------------------------------- altered test spectra


def test_altered_spectra_come_back_to_the_grid(tmp_path) -> None:
    grid, n = wavelength_grid(PART), 8
    flux = np.rint(
        900 - 300 * np.exp(-(((grid - 4800) / 20) ** 2)) + 5 * np.random.default_rng(0).standard_normal((n, 400))
    )
    obsid, stars = np.arange(n), [f"s{i}" for i in range(n)]
    write_parquet(spectra_table(obsid, stars, flux.astype(np.int16), np.zeros(n, np.int32)), tmp_path / "a.parquet")
    split = {"class": ["G"] * n, "split": ["test"] * n, "fold": np.zeros(n, np.int8)}
    sample = pa.table({"obsid": obsid, "star_id": stars, **split}).cast(SAMPLE)
    labels = pa.table({"obsid": obsid, "shard": ["a"] * n, "snr_r": np.full(n, 80.0)})

    def stored(**change: Any) -> np.ndarray:
        asked = Change(name="x", **change)
        made = alter_test_spectra(
            sample, labels, lambda name: tmp_path / f"{name}.parquet", native(), asked, 1800.0, 99, 1, asked.set
        )
        assert len(made.spectra) == n and not len(made.rejected)
        return flux_matrix(made.spectra).astype(float)

    scale = flux.max(axis=1, keepdims=True) / 1000
    assert np.abs(stored(tilt=1e-9) - flux / scale).max() <= 0.51  # as it was
    moved = stored(velocity=150.0)
    depths = [(each.max() - each).clip(100) - 100 for each in (flux.mean(axis=0), moved.mean(axis=0))]
    centres = [np.average(grid, weights=depth) for depth in depths]
    assert centres[1] - centres[0] == pytest.approx(4800 * 150 / 299792, abs=0.3)
    # A pixel of SDSS's that begins a hair before the first one is beyond what there is.
    assert np.abs(stored(format="sdss") - flux / scale)[:, 1:-1].max() <= 1
    assert np.isfinite(stored(missing=[(4700.0, 4750.0), (4900.0, 5000.0)])).all()


# ---------------------------------------------------------------- patch tokens


def noisy(n: int, sigma: float = 4.0, seed: int = 0) -> np.ndarray:
    """Stored flux on LAMOST's pixels: a slope, lines and noise of ``sigma`` thousandths."""
    rng = np.random.default_rng(seed)
    wave = wavelength_grid(WHOLE)
    shape = 600 + 300 * np.sin(wave / 900) - 200 * np.exp(-(((wave - 6564) / 8) ** 2))
    return np.rint(shape + sigma * rng.standard_normal((n, len(wave))))


@pytest.mark.parametrize("start", [3820.0, 4500.0, 6000.0, 7500.0, 8640.0])
@pytest.mark.parametrize("width", [30.5, 45.0, 200.0, 1500.0])
@pytest.mark.parametrize("rise", [-600, 0, 35, 600])
def test_a_gap_that_was_crossed_by_a_line_in_wavelength_is_missing(start: float, width: float, rise: float) -> None:
    """What cleaning makes of a gap of more than 30 A: its pixels are told as missing, and a few beside it."""
    stored, wave = noisy(3, seed=int(start + width)), wavelength_grid(WHOLE)
    first = int(np.searchsorted(wave, start))
    last = min(int(np.searchsorted(wave, wave[first] + width)), len(wave) - 1)
    stored[1, last] = stored[1, first] + rise
    stored[1, first : last + 1] = np.rint(
        np.interp(wave[first : last + 1], wave[[first, last]], stored[1, [first, last]])
    )
    found = crossed(stored, wave)
    if wave[last] - wave[first] > 30:
        assert found[1, first : last + 1].all()
    assert found[1].sum() <= last - first + 1 + 6 and found.sum() == found[1].sum()
    fine, _ = pixels(stored, 10, wave)
    assert np.array_equal(np.isnan(fine), found)


@pytest.mark.parametrize(("sigma", "most"), [(0.3, 5e-3), (0.5, 5e-3), (1.0, 1e-3), (1.5, 0), (2.0, 0), (10.0, 0)])
def test_noise_is_not_missing_however_small(sigma: float, most: float) -> None:
    """Where noise is hardly more than rounding, few of so many values are straight by chance."""
    assert crossed(noisy(40, sigma), wavelength_grid(WHOLE)).mean() <= most


def test_a_spectrum_without_noise_is_not_missing() -> None:
    assert not crossed(noisy(1, 0.0), wavelength_grid(WHOLE)).any()


def test_a_shift_by_velocity_moves_a_line_on_a_logarithmic_grid() -> None:
    wave = wavelength_grid(WHOLE)
    augment = PixelAugment(noise=0, tilt=0, velocity=300.0)
    velocity = 300 * np.random.default_rng(5).standard_normal(1)[0]
    for centre in (4100.0, 6000.0, 8400.0):
        line = -np.exp(-(((wave - centre) / centre * 1000) ** 2))[None].astype(np.float32)
        zeros = np.zeros((1, 5), np.float32)
        moved, _ = redraw_pixels(line, zeros, augment, np.zeros(len(wave)), wave, np.random.default_rng(5))
        expected = -np.exp(-(((wave / (1 + velocity / 299792.458) - centre) / centre * 1000) ** 2))
        assert abs(velocity) > 20 and np.abs(moved[0] - expected).max() < 0.01


def test_patches_of_the_surveys_own_pixels_are_tokens() -> None:
    stored, wave = noisy(40), wavelength_grid(WHOLE)
    fine, coarse = pixels(stored, 10, wave)
    encoding = Patches.model_validate({"form": "patches", "width": 100, "directions": 8})
    projector = Projector(encoding, WHOLE.size, 32, 0.5, statistics_of(fine, coarse, 8))
    assert projector.tokens == 37  # 36 patches, the last of which overlaps, and the shape


# ---------------------------------------------------------------- text


@pytest.mark.parametrize("form", ["atmosphere", "abundances"])
def test_a_question_states_the_range_as_the_recipe_writes_it(form: str) -> None:
    labels = ["teff", "logg"] if form == "atmosphere" else ["mg_fe"]
    task = task_of(form, labels, source="lamost", balanced=False, sizes={"s": 4})
    asked = question(task, WHOLE, labels, "0.1, 0.2")
    assert "from 3801.894 angstrom to 8699.6143" in asked
    assert parse_question(task, asked) == (labels, "0.1, 0.2")


@pytest.mark.parametrize("form", ["paper", "packed", "digits"])
@pytest.mark.parametrize("width", [1, 40])
def test_text_forms_write_own_pixels_and_read_them_back(form: str, width: int) -> None:
    row, _ = clean(observed(LAMOST), native(WHOLE))
    codec = Codec(Encoding(form=form, bin=width), WHOLE)
    values = codec.values(row[None])
    assert values.shape == (1, WHOLE.size // width)
    assert np.array_equal(codec.parse(codec.text(values[0])), values[0])
    if form == "paper" and width == 1:
        assert np.array_equal(values[0], row)
