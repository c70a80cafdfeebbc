"""Spectral types: the letter where it is unambiguous, and why there is none where it is not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starglot.labels import CLASSES
from starglot.surveys.spectral_types import class_letter, read_type

#: Types of SIMBAD, the Michigan catalogue, Gray et al., LAMOST, SDSS and X-shooter's library, by their letter.
LETTERS = {
    "A": "A0 A1V A2IV A7III A5Iab A A0p Am sdA2 A0Va A2Vs A0Vnn A1/A2III A1mA5-F2 A2/3mA7-F0 A3mA5 A5mF2(III) A9Ia0 "
    "A0VpSiCr Ap(SiCr) ApSrCrEu A2Ia+ A7V+n A0Vsh A2pSHELL kA2hA5mA5V kF2hA9mF3 A5IV-Vn A2Vp:SrCr a5",
    "F": "F5 sd:F F0III F9V F5III-IV F6V+ F0Vgw F5-6V F0/F2V F8Iab: F0VkA9mA9 F7VFe-1CH-0.4 F5/6(III) F8Ia0e Fm "
    "kA5hF0mF2 hF2mF5 F5V-VI F2III-IVp F3V+F5V sdF5 F... F0pSr(Eu)Si",
    "G": "G2 G8.5 dG2 G2IV-V G8II-III G0V_C G1.5Vb G2/G3V G5V: g5 G8IIIFe-1 G5Ib/II Gp G5IIIBa2 G2V? gG5 G8.5IIIb",
    "K": "K7 K0III gK5 K0III-IV K0III: K2IIIbCa-1 K0III/IV K2Vk K1(III) K0-III K1IIIbCN1.5Ca1 K5Ve K0III+K5V "
    "K0III... K7V(e) KIII K0IIICN+1 k0iii K2.5III* dK",
    "M": "M0 dM2 gM0 sdM1 esdM3 usdM2 dM6e M1-M2Ia-Iab M2-Iab M6e-M9e M4.5Ve M6.5 M9.5V M10 M5IIIvar "
    "M1.5Iab-Ib dM m4 M:",
}
OTHER = (
    "O B6 OB OBe O9V B9.5V Be B[e] B8/B9V sdB sdO sdOB L0 L1 T5 WD DA DB DQ DA1 DAZ DZ7 WDMagnetic CV Carbon "
    "CarbonWD C-N4 C5,3 R5 N3 S5,2 MS SC WN5 WC Non Unknown EM DoubleStar AGN QSO GALAXY galaxy STARBURST MAGNETIC"
)
TWO = "K0III+A2V G9/K0V F5_G2 F8Ib-G0Ib M2V+DA M3V+WD A/F B9/A0V B9.5/A0 kA5mF2 G2V&K5V sdB+F5 K3V+L4"
UNKNOWN = "Mystery xyz star 1 AB M31 G2V9 da1 D sgF5 A-type HD12345 K5cluster A1galaxy"


@pytest.mark.parametrize(
    ("letter", "text"), [(letter, t) for letter, texts in LETTERS.items() for t in texts.split()]
)
def test_the_letter_is_found_where_it_is_unambiguous(letter: str, text: str) -> None:
    assert read_type(text) == (letter, None)
    assert class_letter(f"  {text} ") == letter


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        *(("other_type", text) for text in [*OTHER.split(), "Double star", "STARFORMING BROADLINE"]),
        *(("two_types", text) for text in TWO.split()),
        *(("unknown_type", text) for text in UNKNOWN.split()),
    ],
)
def test_what_has_no_letter_says_why(problem: str, text: str) -> None:
    assert read_type(text) == (None, problem)


def test_blanks_and_remarks() -> None:
    assert [class_letter(text) for text in ("G2 V", "M2.5 Iab", "K5 (110281)", "A0 (G_24-3)", "(F5)", "'G5'")] == [
        *("G", "M", "K", "A", "F", "G"),
    ]
    assert class_letter(None) is None and class_letter("") is None and class_letter("  ") is None


marks = st.sampled_from(["", ":", "?", "e", "n", "p", "s", "m", "nn", "var", "Fe-1", "CN1", "Ba0.5", "(e)"])
luminosities = st.sampled_from(
    ["", "0", "Ia", "Iab", "Ib", "II", "III", "IIIb", "IV", "IV-V", "V", "Va", "III/IV", "(III)"]
)
subtypes = st.sampled_from(["0", "5", "9", "2.5", "5-6", "8/9", "3:"])
letters = st.sampled_from(CLASSES)


@given(letters, subtypes, luminosities, marks, st.sampled_from(["", "d", "g", "sd", "sd:", "esd", "usd"]))
def test_letter_digit_luminosity_and_marks_in_any_combination(
    letter: str, subtype: str, luminosity: str, mark: str, prefix: str
) -> None:
    assert read_type(f"{prefix}{letter}{subtype}{luminosity}{mark}") == (letter, None)


@given(letters, letters, subtypes, luminosities, st.sampled_from("/-+&"))
def test_two_types_have_a_letter_only_if_it_is_one(
    one: str, other: str, subtype: str, luminosity: str, joint: str
) -> None:
    expected = (one, None) if one == other else (None, "two_types")
    assert read_type(f"{one}5V{joint}{other}{subtype}{luminosity}") == expected


@given(st.text(min_size=1))
def test_any_text_has_one_letter_that_is_in_it_or_one_reason(text: str) -> None:
    letter, problem = read_type(text)
    assert (letter is None) != (problem is None)
    assert letter is None or letter in text.upper()


#: LAMOST's own subclasses, and no others' marks.
_LAMOST = re.compile(r"(?:d|g|(?:e|u)?sd:?)?([AFGKM])(?:\d(?:\.\d)?)?[:+]?\s?(?:0|I[abV]{0,3}|II|III|V)*[emnps]?")


@given(st.from_regex(_LAMOST, fullmatch=True))
def test_lamosts_own_types_have_their_letter(text: str) -> None:
    luminosity = re.search(r"[0IVab]*(?=[emnps]?$)", text)
    assert luminosity is not None
    if re.fullmatch(r"0?|Ia|Ib|Iab|I|II|III|IV|V", luminosity.group()):
        matched = _LAMOST.fullmatch(text)
        assert matched is not None and class_letter(text) == matched.group(1)
