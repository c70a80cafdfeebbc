"""The mock's physics, against textbook numbers: where lines are, and what they answer to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starglot.labels import ABUNDANCE_NAMES
from starglot.mock.atmosphere import curve_of_growth, fractions, layer, saha
from starglot.mock.lines import ELEMENTS, LABEL_OF_SPECIES, line_list
from starglot.mock.survey import extinction
from starglot.mock.synthesis import LIGHT, MARGIN, Stellar, grid, rest_spectra, shifted


def spectrum(teff: float, logg: float, feh: float = 0.0, **xfe: float) -> np.ndarray:
    """One rest-frame spectrum on the native grid."""
    table = np.zeros((1, len(ABUNDANCE_NAMES)))
    for name, value in xfe.items():
        table[0, ABUNDANCE_NAMES.index(name)] = value
    return rest_spectra(Stellar(np.array([teff]), np.array([logg]), np.array([feh]), table))[0, MARGIN:-MARGIN]


def width(flux: np.ndarray, low: float, high: float) -> float:
    """Equivalent width (A) between two vacuum wavelengths, with a straight line between the ends as continuum."""
    wave = grid().astype(float)
    at = (wave >= low) & (wave <= high)
    ends = [np.median(flux[at][:6]), np.median(flux[at][-6:])]
    line = np.interp(wave[at], [low, high], ends)
    return float(np.trapezoid(1 - flux[at] / line, wave[at]))


def test_every_element_label_has_lines_or_bands() -> None:
    lines = line_list()
    assert (np.diff(lines.wavelength) >= 0).all()
    covered = {LABEL_OF_SPECIES[s] for s in np.unique(lines.species) if s in LABEL_OF_SPECIES}
    assert covered | {"c_fe"} == set(ABUNDANCE_NAMES)  # carbon of c_fe: CH, CN and C2
    assert {s.split()[0] for s in lines.species} <= set(ELEMENTS)


def test_saha_ionises_the_sun_as_textbooks_do() -> None:
    # At theta = 0.87 and log Pe = 1.3, as in the Sun, iron is mostly ionised and hydrogen is neutral.
    t, log_pe = np.array([5793.0]), np.array([1.3])
    assert 3 < saha(t, log_pe, 7.90, 2 * 43 / 27)[0] < 60
    assert saha(t, log_pe, 13.598, 1.0)[0] < 1e-3
    sun = layer(np.array([5777.0]), np.array([4.44]), np.array([0.0]))
    assert 0.3 < sun.log_pe[0] < 1.6
    assert fractions(sun, "Fe I")[0] < 0.3 and fractions(sun, "Ca II")[0] > 0.9


@given(st.floats(3200, 9800), st.floats(0.5, 5.0), st.floats(-2.4, 0.5))
@settings(max_examples=40)
def test_denser_atmospheres_have_more_electrons(teff: float, logg: float, feh: float) -> None:
    low, high = layer(np.array([teff] * 2), np.array([logg, logg + 0.3]), np.array([feh] * 2)).log_pe
    assert high > low


def test_curve_of_growth_is_linear_then_flat_then_damped() -> None:
    weak, strong = np.array([1e-3, 2e-3]), np.array([1e2, 2e2])
    core, _ = curve_of_growth(weak, np.zeros(2))
    assert core[1] / core[0] == pytest.approx(2, rel=1e-3)
    assert core[0] == pytest.approx(np.sqrt(np.pi) * 1e-3, rel=1e-3)
    core, wings = curve_of_growth(strong, np.full(2, 0.1))
    assert core[1] / core[0] < 1.1
    assert wings[1] / wings[0] == pytest.approx(np.sqrt(2))


@given(st.floats(3100, 9900), st.floats(0.2, 5.1), st.floats(-2.4, 0.5), st.floats(-0.6, 0.8), st.integers(0, 20))
@settings(max_examples=30)
def test_spectra_are_finite_and_positive(teff: float, logg: float, feh: float, x: float, element: int) -> None:
    flux = spectrum(teff, logg, feh, **{ABUNDANCE_NAMES[element]: x})
    assert np.isfinite(flux).all() and (flux > 0).all()


@pytest.mark.parametrize("label", ABUNDANCE_NAMES)
def test_more_of_an_element_deepens_its_own_lines(label: str) -> None:
    # The star in which the element is best seen: C I, N I, O I, S I and P II need hot ones.
    teff, logg = {"ci_fe": (7500, 4.0), "n_fe": (4700, 2.5), "s_fe": (7000, 4.0), "p_fe": (9500, 4.0)}.get(
        label, (4800, 3.0)
    )
    less, more = spectrum(teff, logg), spectrum(teff, logg, **{label: 0.5})
    change = 1 - more / less * np.median(less / more)
    darkest = grid()[np.argmax(change)]
    assert change.max() > (5e-4 if label == "p_fe" else 3e-3)
    lines = line_list()
    own = lines.wavelength[[LABEL_OF_SPECIES.get(s) == label for s in lines.species]]
    bands = {"c_fe": [4306, 5166, 4738], "n_fe": [3884, 4217], "o_fe": [], "ti_fe": []}.get(label, [])
    near = np.concatenate([own, np.array(bands, float)])
    # The wings of H and K are where calcium shows most: their cores are black anyway.
    assert np.abs(near - darkest).min() < (20 if bands else 12 if label == "ca_fe" else 3)


def test_features_answer_to_the_labels_as_in_real_stars() -> None:
    hydrogen = [width(spectrum(t, 4.2), 4800, 4925) for t in (5000, 5800, 7000, 8800)]
    assert hydrogen == sorted(hydrogen) and hydrogen[-1] > 10 > 4 > hydrogen[1]  # H beta, A: ~15 A; Sun: ~3.5 A
    magnesium = [width(spectrum(4700, g), 5150, 5200) for g in (1.5, 3.0, 4.6)]
    assert magnesium == sorted(magnesium) and magnesium[-1] > 1.5 * magnesium[0]
    sodium = [width(spectrum(3700, g), 5870, 5920) for g in (0.7, 4.8)]
    assert sodium[1] > 2 * sodium[0]
    calcium = [width(spectrum(5000, 4.5, m), 3910, 3995) for m in (-2.0, -1.0, 0.0)]
    assert calcium == sorted(calcium)
    titanium_oxide = [
        np.median(f[(w := grid()) > 7060][:80]) / np.median(f[(w > 7010) & (w < 7045)])
        for f in (spectrum(t, 4.8) for t in (4500, 3900, 3600, 3300))
    ]
    assert titanium_oxide == sorted(titanium_oxide, reverse=True) and titanium_oxide[-1] < 0.6


def test_solar_lines_have_about_their_real_widths() -> None:
    # Equivalent widths in A of H alpha, Na D (both), Ca II 8542 and K in the solar spectrum, to a factor of 1.6.
    sun = spectrum(5777, 4.44)
    for low, high, real in ((6550, 6578, 3.5), (5880, 5904, 1.35), (8530, 8556, 3.5), (3915, 3957, 17.0)):
        assert real / 1.6 < width(sun, low, high) < real * 1.6, (low, high)


def test_shift_moves_lines_by_the_velocity() -> None:
    rest = rest_spectra(Stellar(np.full(4, 5800.0), np.full(4, 4.4), np.zeros(4), np.zeros((4, 21))))
    velocity = np.array([-400.0, -33.0, 0.0, 250.0])
    moved = shifted(rest, velocity)
    assert np.allclose(moved[2], rest[2, MARGIN:-MARGIN], rtol=1e-5)
    wave = grid().astype(float)
    for v, flux in zip(velocity, moved, strict=True):
        truth = np.interp(wave / (1 + v / LIGHT), wave, rest[2, MARGIN:-MARGIN])
        inner = slice(30, -30)
        assert np.std(flux[inner] / truth[inner] - 1) < 0.02
        line = 6564.6 * (1 + v / LIGHT)
        near = np.abs(wave - line) < 8
        assert wave[near][np.argmin(flux[near])] == pytest.approx(line, abs=1.2)
    with pytest.raises(ValueError, match=r"\d+ km/s"):
        shifted(rest[:1], np.array([900.0]))


def test_extinction_curve() -> None:
    # Cardelli, Clayton & Mathis (1989), table 3: A/A(V) for R_V = 3.1 in U, B, V, R, I.
    curve = extinction(np.array([3650, 4400, 5500, 7000, 9000.0])) / 3.1
    assert curve == pytest.approx([1.569, 1.337, 1.0, 0.751, 0.479], abs=0.02)
