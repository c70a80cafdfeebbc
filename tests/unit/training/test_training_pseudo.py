"""Pseudo-questions: answered by the flux, in the real answers' form, without a label."""

import numpy as np
import pytest

from starglot.config.bases.tiny import TinyBase
from starglot.config.root import Encoding, Wavelength
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES
from starglot.language.answers import parse
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.tokens import PromptTokens
from starglot.training.pseudo import PseudoDraws, quantities
from tasks import task_of

WAVELENGTH = Wavelength(start=4000, stop=4799, step=1)
ENCODING = Encoding(form="packed", bin=10, preparation="as_is")
TASK = task_of("atmosphere", list(ATMOSPHERE_NAMES), balanced=True, sizes={"demo": 1})
NAMED = task_of("abundances", ABUNDANCE_NAMES)


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    slope, bump = rng.standard_normal((2, 300, 1))
    at = np.linspace(-1, 1, 80)
    flux = 500 + 120 * slope * at + 60 * bump * np.exp(-((at / 0.2) ** 2)) + rng.standard_normal((300, 80))
    return flux.clip(0, 999).astype(np.int16), slope[:, 0], bump[:, 0]


@pytest.fixture(scope="module")
def tokens():
    return PromptTokens(build_tokenizer(), TASK, ENCODING, WAVELENGTH)


def draws(tokens, spectra, length=400, **settings):
    base = TinyBase(kind="tiny", task="atmosphere", size="demo", encoding="x", **settings)
    return PseudoDraws([(TASK.labels, row) for row in spectra[0]], tokens, length, base, {})


def test_the_first_quantities_are_what_the_spectra_differ_in(spectra):
    flux, slope, bump = spectra
    found = quantities(flux, components=4, windows=8, seed=0)
    two = found.values[:, :2]
    for truth in (slope, bump):
        fitted = two @ np.linalg.lstsq(two, truth, rcond=None)[0]
        assert np.corrcoef(fitted, truth)[0, 1] > 0.95
    assert found.values.shape == (300, 12)
    assert np.allclose(found.values.std(axis=0), 1, atol=0.1)


def test_the_sign_of_a_component_does_not_depend_on_the_order_of_the_spectra(spectra):
    flux = spectra[0]
    order = np.random.default_rng(1).permutation(len(flux))
    straight, mixed = (quantities(rows, 3, 0, seed=0).values for rows in (flux, flux[order]))
    assert np.allclose(straight[order], mixed, atol=1e-6)


def answers(item, tokenizer):
    return tokenizer.decode(item["answer"]).split(tokenizer.eos_token)[:-1]


def test_answers_are_in_the_forms_of_both_stages(tokens, spectra):
    made = draws(tokens, spectra, per_spectrum=4, questions=6, named=0.5, names=3)
    kinds = {"list": 0, "named": 0}
    for number in range(60):
        first, *more = answers(made[number], tokens.tokenizer)
        assert parse(TASK, TASK.labels, first).problem is None
        assert len(more) == 3
        for text in more:
            if "_FE:" in text:
                kinds["named"] += 1
                read = parse(NAMED, NAMED.labels, text[text.index("[") :])
                assert sum(value is not None for value in read.values.values()) == 3
            else:
                kinds["list"] += 1
                assert parse(TASK, TASK.labels, text[text.index("[") :]).problem is None
    assert min(kinds.values()) > 50


def test_marks_do_not_count_and_answers_do(tokens, spectra):
    item = draws(tokens, spectra, per_spectrum=3, named=0.0)[0]
    silent = [token for token, counts in zip(item["answer"], item["counts"], strict=True) if not counts]
    text = tokens.tokenizer.decode(silent)
    assert len(text.split("\n")) == 3  # a letter and a line break before the second and the third answer
    assert all(len(mark) == 1 and mark.isupper() for mark in text.split("\n")[:-1])


def test_an_answer_depends_on_the_spectrum_and_its_question_alone(tokens, spectra):
    made = draws(tokens, spectra, length=600)  # two passes over 300 spectra
    by_prompt = {}
    for number in range(600):
        item = made[number]
        first = answers(item, tokens.tokenizer)[0]
        assert by_prompt.setdefault(tuple(item["prompt"]), first) == first
    assert len(by_prompt) == 300


def test_items_do_not_depend_on_the_order_in_which_they_are_asked_for(tokens, spectra):
    one, other = (draws(tokens, spectra, noise=0.02, tilt=0.05) for _ in range(2))
    straight = [one[number] for number in range(20)]
    assert [other[number] for number in (13, 2, 19)] == [straight[number] for number in (13, 2, 19)]


def test_a_plain_form_is_practised_as_it_is_answered(spectra):
    task = task_of("redshift", ["redshift"])
    digits = Encoding(form="digits", bin=10, preparation="as_is")
    tokens = PromptTokens(build_tokenizer([task]), task, digits, WAVELENGTH)
    base = TinyBase(kind="tiny", task="t", size="s", encoding="x")
    item = PseudoDraws([(task.labels, row) for row in spectra[0]], tokens, 40, base, {})[3]
    told = answers(item, tokens.tokenizer)
    assert len(told) == base.per_spectrum
    read = [parse(task, ["redshift"], text.lstrip("ABCDEFGH")) for text in told]
    assert all(each.status["redshift"] == "ok" and 0 <= each.values["redshift"] < 1 for each in read)
