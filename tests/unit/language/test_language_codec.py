"""Flux as text: the paper's form, one token a value, and the ways back."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refusals import refused
from starglot.config.root import Encoding, Wavelength
from starglot.flux_text import thousandths_text
from starglot.language.codec import Codec

PAPER_GRID = Wavelength()
GRID = Wavelength(start=4000.0, stop=4399.0)  # 400 values

ENCODINGS = {
    f"{form}-{bin_}-{preparation}": Encoding(form=form, bin=bin_, preparation=preparation)
    for form in ("paper", "packed")
    for bin_ in (1, 7, 40)
    for preparation in ("as_is", "continuum")
}
each_encoding = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())

stored = hnp.arrays(np.int16, (2, GRID.size), elements=st.integers(-32000, 32000))


def star(rows: int = 3, noise: float = 0.02, seed: int = 1) -> np.ndarray:
    """Stored flux of something like stars: slopes with lines and noise, the maximum at 1000."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, GRID.size)
    slope = np.exp(rng.uniform(-0.8, 0.8, (rows, 1)) * x)
    lines = sum(
        rng.uniform(0, 0.5, (rows, 1)) * np.exp(-0.5 * ((x - at) / 0.01) ** 2) for at in rng.uniform(-1, 1, 25)
    )
    flux = slope * np.exp(-lines) + noise * rng.standard_normal((rows, GRID.size))
    return np.rint(1000 * flux / flux.max(axis=1, keepdims=True)).astype(np.int16)


def test_the_papers_flux_to_the_letter():
    codec = Codec(Encoding(form="paper"), Wavelength(start=3800, stop=3807))
    flux = np.array([[303, 307, 302, 298, 300, 296, 295, 297]], dtype=np.int16)
    assert codec.text(codec.values(flux)[0]) == "0.303, 0.307, 0.302, 0.298, 0.3, 0.296, 0.295, 0.297"


@given(st.integers(-32768, 32767))
def test_thousandths_are_the_shortest_decimal(value: int):
    text = thousandths_text(value)
    assert Decimal(text) == Decimal(value) / 1000
    assert text not in ("-0", "") and not (("." in text) and text[-1] in "0.")


def test_paper_keeps_negative_values_and_one_packed_clips():
    grid = Wavelength(start=3800, stop=3804)
    flux = np.array([[-20, 0, 5, 1000, 1300]], dtype=np.int16)
    paper, packed = Codec(Encoding(form="paper"), grid), Codec(Encoding(form="packed"), grid)
    assert paper.text(paper.values(flux)[0]) == "-0.02, 0, 0.005, 1, 1.3"
    assert packed.text(packed.values(flux)[0]) == "000000005999999"


@each_encoding
@settings(max_examples=15)
@given(flux=stored)
def test_text_and_values_are_inverse(encoding: Encoding, flux: np.ndarray):
    codec = Codec(encoding, GRID)
    values = codec.values(flux)
    assert values.shape == (2, codec.n_values)
    for row in values:
        assert np.array_equal(codec.parse(codec.text(row)), row)


def test_bins_are_means_divided_by_the_largest():
    codec = Codec(Encoding(form="paper", bin=40), GRID)
    flux = star()
    means = flux.reshape(3, 10, 40).mean(axis=2)
    assert np.array_equal(codec.values(flux), np.rint(1000 * means / means.max(axis=1, keepdims=True)))


def test_the_rest_that_fills_no_bin_is_dropped():
    codec = Codec(Encoding(form="packed", bin=40), PAPER_GRID)
    assert codec.n_values == 122  # 4901 = 122 x 40 + 21
    flux = np.full((1, 4901), 500, np.int16)
    flux[:, -21:] = 1000
    assert set(codec.values(flux)[0]) == {999}


def test_continuum_is_five_hundred_then_ten_coarse_values():
    codec = Codec(Encoding(form="packed", bin=4, preparation="continuum"), GRID)
    values = codec.values(np.full((1, 400), 731, np.int16))[0]
    assert values.tolist() == [500] * 100 + [999] * 10
    step = np.repeat(np.array([[10, 1000]], np.int16), 200, axis=1)  # 1 % and 100 % of the maximum
    assert codec.values(step)[0, 100:].tolist() == [0] * 5 + [999] * 5


def test_continuum_against_a_direct_running_mean():
    codec = Codec(Encoding(form="packed", bin=2, preparation="continuum"), GRID)
    flux = star()
    binned = flux.reshape(3, 200, 2).mean(axis=2)
    at = np.arange(200)
    weights = np.exp(-0.5 * ((at[:, None] - at) / (0.06 * 200)) ** 2)
    weights[np.abs(at[:, None] - at) > 4 * 0.06 * 200] = 0
    ratio = binned / (binned @ weights / weights.sum(axis=0))
    direct = 500 + 500 * np.arcsinh((ratio - 1) / 0.05) / np.arcsinh(20)
    assert np.abs(codec.values(flux)[:, :200] - direct).max() < 3  # the smoothing is cut off at four sigma


@pytest.mark.parametrize(("ratio", "written"), [(0.0, 0), (0.95, 381), (1.0, 500), (1.05, 619), (2.0, 999)])
def test_a_line_on_a_flat_continuum_is_stretched(ratio: float, written: int):
    """One narrow line on a continuum of one: 5 % depth takes an eighth of the range."""
    flux = np.full((1, 400), 0.5)
    flux[0, 0] = 1.0  # the peak that sets the scale, far from the line
    flux[0, 200] = 0.5 * ratio
    codec = Codec(Encoding(form="packed", preparation="continuum"), GRID)
    assert abs(int(codec.values_from_binned(flux)[0, 200]) - written) <= 20  # the line itself lowers its continuum


@pytest.mark.parametrize("bin_", [1, 4, 10])
def test_a_continuum_can_be_undone(bin_: int):
    codec = Codec(Encoding(form="packed", bin=bin_, preparation="continuum"), GRID)
    flux = star(20)
    values = codec.values(flux)
    binned = flux.reshape(20, -1, bin_).mean(axis=2)
    binned /= binned.max(axis=1, keepdims=True)
    back = codec.flux(values)
    assert np.abs(back - binned).max() < 0.006
    again = codec.values_from_binned(back).astype(int)
    assert np.abs(again - values).max() <= 10  # a unit near the continuum is a fifth of a thousandth ...
    assert np.median(np.abs(again - values)) <= 1  # ... and nearly all agree within one


def test_as_is_is_undone_exactly():
    flux = star().clip(0, 999)
    codec = Codec(Encoding(form="packed"), GRID)
    assert np.array_equal(codec.flux(codec.values(flux)), flux / 1000)
    assert np.array_equal(codec.values_from_binned(codec.flux(codec.values(flux))), codec.values(flux))


@each_encoding
def test_a_row_does_not_depend_on_the_others(encoding: Encoding):
    codec = Codec(encoding, GRID)
    flux = star(5)
    whole = codec.values(flux)
    assert np.array_equal(whole, np.concatenate([codec.values(row[None]) for row in flux]))
    assert np.allclose(codec.flux(whole)[2:3], codec.flux(whole[2:3]), rtol=0, atol=1e-12)


@each_encoding
def test_spectra_without_light_are_encoded_too(encoding: Encoding):
    codec = Codec(encoding, GRID)
    dark = np.array([[0] * 400, [-5] * 400, [0] * 399 + [1]], np.int16)
    values = codec.values(dark)
    for row in values:
        assert np.array_equal(codec.parse(codec.text(row)), row)
    assert np.isfinite(codec.flux(values)).all()


@each_encoding
def test_no_spectra_at_all(encoding: Encoding):
    codec = Codec(encoding, GRID)
    values = codec.values(np.empty((0, 400), np.int16))
    assert values.shape == (0, codec.n_values) and codec.flux(values).shape == (0, codec.n_bins)


@pytest.mark.parametrize("text", ["", "303", "30330a", "303 07", "٣٠٣303", "303307302", "-03003"])
def test_packed_refuses_other_text(text: str):
    with refused(len(text), where=repr(text), allowed=(2, "303307310"), todo="snakemake qa"):
        Codec(Encoding(form="packed"), Wavelength(start=1, stop=2)).parse(text)


@pytest.mark.parametrize(
    "text", ["", "0.3", "40, 0.4", "0.3,0.4", "0.3, 0.4, 0.5", "0.3, x", "0.3, 0.4444", "0.3, 4e-1", "0.3, "]
)
def test_paper_refuses_other_text(text: str):
    with refused(len(text), where=repr(text), allowed=(2, "0.303, 0.307, 0.31"), todo="snakemake qa"):
        Codec(Encoding(form="paper"), Wavelength(start=1, stop=2)).parse(text)


def test_a_grid_that_does_not_fit_is_said():
    codec = Codec(Encoding(form="packed"), GRID)
    with refused("(1, 399)", where="wavelength", allowed="(n, 400)", todo="snakemake clean"):
        codec.values(np.zeros((1, 399), np.int16))
    with refused(401, where="encodings: bin", allowed=400, todo="bin"):
        Codec(Encoding(form="packed", bin=401), GRID)
