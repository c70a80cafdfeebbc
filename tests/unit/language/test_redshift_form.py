"""The question and answer of "Teaching LLMs to Speak Spectroscopy", to the letter."""

import numpy as np
import pytest

from refusals import refused
from starglot.config.recipes import Wavelength
from starglot.config.tasks import form_task
from starglot.language.answers import parse, render
from starglot.language.number_answers import AnswerTokens
from starglot.language.prompts import head, parse_question, question
from starglot.language.tiny_tokenizer import build_tokenizer

TASK = form_task("redshift", ["redshift"])


def test_question_and_answer_are_the_papers():
    assert head(TASK, Wavelength(), ["redshift"]) == "Galaxy spectrum is rescaled and encoded to an input series: "
    assert render(TASK, None, {"redshift": 0.31549}, ["redshift"], "rounded") == "Redshift: 0.315"
    assert render(TASK, None, {}, ["redshift"], "rounded") == "Redshift: null"
    text = question(TASK, Wavelength(), ["redshift"], "4|5|6, ")
    assert parse_question(TASK, text) == (["redshift"], "4|5|6, ")
    with refused(where="Given"):
        parse_question(TASK, "Given the normalized flux")


@pytest.mark.parametrize(
    ("text", "value", "status", "faultless"),
    [
        ("Redshift: 0.315", 0.315, "ok", True),
        ("  Redshift :0.3 ", 0.3, "ok", True),
        ("Redshift: null", None, "not_answered", True),
        ("", None, "not_answered", False),
        ("Redshift: high", None, "unparsable", False),
        ("Redshift: 11.5", None, "out_of_range", False),
        ("Redshift: 0.315 or so", 0.315, "ok", False),
        ("z = 0.315", None, "unparsable", False),
    ],
)
def test_answers_are_read_whatever_they_say(text, value, status, faultless):
    answer = parse(TASK, ["redshift"], text)
    assert (answer.values["redshift"], answer.status["redshift"]) == (value, status)
    assert (answer.problem is None) == faultless


def test_words_of_further_forms_are_tokens_and_the_paper_s_stay():
    plain, more = build_tokenizer(), build_tokenizer([TASK])
    text = head(TASK, Wavelength(), ["redshift"])
    assert len(plain(text)["input_ids"]) > 40 and len(more(text)["input_ids"]) <= 3
    assert plain.decode(plain(text)["input_ids"]) == more.decode(more(text)["input_ids"]) == text
    answer = AnswerTokens(more, TASK, [])
    assert answer.tokens(np.array([[315.0]]), np.array([-1])).shape == (1, len(answer))
    assert more.decode(answer.tokens(np.array([[315.0]]), np.array([-1]))[0]) == "Redshift: 315"
