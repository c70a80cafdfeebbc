"""Flux in digits, against the strings of the paper and of llmtime, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starglot.config.digits import Digits
from starglot.config.root import Encoding, Wavelength
from starglot.flux_text import FLUX_TEXTS
from starglot.language.codec import Codec
from starglot.language.digit_text import digit_form, integers, read_text, scaled, text_of, values_of

#: llmtime's own defaults.
LLMTIME = {"style": "llmtime", "bit_sep": " ", "time_sep": " ,", "plus": "", "minus": " -"}


@pytest.mark.parametrize(
    ("values", "settings", "text"),
    [
        ([4.56, 7.54, 11.2], {}, "4|5|6, 7|5|4, 1|1|2|0, "),  # the paper, section 3.1
        ([4.56, 7.54, 11.2], {**LLMTIME, "precision": 3}, " 4 5 5 9 , 7 5 4 0 , 1 1 1 9 9 ,"),
        (
            [4.56, 7.54, 11.2],
            {**LLMTIME, "bit_sep": "|", "time_sep": ", ", "plus": " "},
            " |4|5|5,  |7|5|4,  |1|1|1|9, ",
        ),
        ([0.645, -0.3, 0, 12, -0.0004], LLMTIME, " 6 4 , - 2 9 , 0 , 1 2 0 0 , - 0 ,"),
        ([0.5, 0.25], {"base": 2, "precision": 3}, "1|0|0, 1|0, "),
        ([0.04], {"fixed_length": 3}, "0|0|4, "),
        ([-0.3, 0.3], {"signed": False}, "0, 3|0, "),
    ],
)
def test_values_are_written_as_the_paper_and_llmtime_write_them(values, settings, text):
    assert text_of(values, Digits(**settings)) == text


def test_llmtime_cuts_most_inputs_of_two_decimals_one_unit_low():
    values = np.arange(1, 1000) / 100
    low = integers(values, Digits(**LLMTIME)) < np.rint(100 * values)
    assert 0.05 < low.mean() and (integers(values, Digits()) == np.rint(100 * values)).all()


SETTINGS = st.builds(
    Digits,
    style=st.sampled_from(["paper", "llmtime"]),
    base=st.integers(2, 10),
    precision=st.integers(0, 4),
    plus=st.sampled_from(["", " "]),
    bit_sep=st.sampled_from(["|", " ", ""]),
    fixed_length=st.sampled_from([0, 5]),
)


@given(settings=SETTINGS, values=st.lists(st.floats(-9, 9), min_size=1, max_size=8))
def test_what_is_written_is_read_to_a_unit(settings, values):
    text = text_of(values, settings)
    numbers = read_text(text, settings)
    assert numbers is not None
    unit = settings.base**-settings.precision
    tolerance = 0.5 * unit + 1e-9 if settings.style == "paper" else 0.5 * unit + unit + 1e-9
    np.testing.assert_allclose(values_of(numbers, settings), values, atol=tolerance)


@given(settings=SETTINGS, numbers=st.lists(st.integers(-9999, 9999), min_size=1, max_size=8))
def test_the_form_of_an_encoding_is_read_back_exactly(settings, numbers):
    form = digit_form(settings)
    assert form.values(form.text(numbers)).tolist() == numbers


@pytest.mark.parametrize("text", ["", "4|5|6", "4||6, ", "4|x, ", "4|5|6,7|5, "])
def test_other_texts_are_none(text):
    assert read_text(text, Digits()) is None and digit_form(Digits()).values(text) is None


def test_without_settings_the_form_is_the_paper_s():
    numbers = [456, 0, -30, 1120]
    assert FLUX_TEXTS["digits"].text(numbers) == digit_form(Digits()).text(numbers) == "4|5|6, 0, -3|0, 1|1|2|0, "
    assert FLUX_TEXTS["digits"].values("4|5|6, 0, -3|0, 1|1|2|0, ").tolist() == numbers


def test_scalers_are_llmtimes():
    x = np.array([[1.0, 2.0, 3.0, 5.0, 8.0]])
    y, offset, scale = scaled(x, Digits(scaler="llmtime", alpha=0.95, beta=0.3))
    assert offset[0, 0] == pytest.approx(1 - 0.3 * 7)
    assert scale[0, 0] == pytest.approx(np.quantile(x - offset, 0.95))
    np.testing.assert_allclose(y * scale + offset, x)
    assert scaled(x, Digits(scaler="basic"))[2][0, 0] == pytest.approx(np.quantile(x, 0.95))
    assert scaled(0 * x, Digits(scaler="llmtime"))[2][0, 0] == 1
    assert scaled(0 * x, Digits(scaler="basic"))[2][0, 0] == 0.01


@pytest.mark.parametrize("digits", [None, LLMTIME])
def test_a_spectrum_is_written_and_read_by_its_encoding(digits):
    codec = Codec(Encoding(form="digits", bin=10, digits=digits), Wavelength(start=4000, stop=4999, step=1))
    flux = np.round(1000 * (1 + 0.3 * np.sin(np.arange(1000) / 50))[None]).astype(np.int16)
    values = codec.values(flux)
    assert values.shape == (1, 100)
    np.testing.assert_array_equal(codec.parse(codec.text(values[0])), values[0])
    # Scaling values that were scaled changes them by rounding alone.
    assert np.abs(codec.values_from_binned(codec.flux(values)) - values).max() <= 2
