"""Token ids by table, the tiny tokenizer, and the frame around question and answer."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refusals import refused
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES, LABELS
from starglot.language.answers import render
from starglot.language.chat import frame
from starglot.language.prompts import question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.tokens import PromptTokens
from tasks import task_of

GRID = Wavelength(start=4000, stop=4059)


def task(form: str, labels: tuple[str, ...]) -> Task:
    return task_of(form, labels)


TASKS = [task("atmosphere", ATMOSPHERE_NAMES), task("abundances", ABUNDANCE_NAMES)]
ENCODINGS = [
    Encoding(form=form, bin=bin_, preparation=preparation)
    for form in ("paper", "packed")
    for bin_, preparation in ((1, "as_is"), (3, "continuum"))
]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def one_character_a_token():
    """A tokenizer that knows no numbers, so that no table of three-digit values can serve it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({chr(code): code for code in range(128)}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="?")


_made: dict[tuple[str, str], PromptTokens] = {}


def made(tokenizer, task: Task, encoding: Encoding) -> PromptTokens:
    """One of each kind: what it keeps from earlier questions must not change later ones."""
    key = (task.question.form, repr(encoding))
    if key not in _made:
        _made[key] = PromptTokens(tokenizer, task, encoding, GRID)
    return _made[key]


def plain(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: f"{e.form}-{e.preparation}")
@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.question.form)
@settings(max_examples=25)
@given(
    flux=hnp.arrays(np.int16, (1, GRID.size), elements=st.integers(-1200, 1200) | st.integers(-32000, 32000)),
    data=st.data(),
)
def test_table_ids_are_the_tokenizers(tokenizer, encoding, task, flux, data):
    fast = made(tokenizer, task, encoding)
    labels = data.draw(st.lists(st.sampled_from(task.labels), unique=True, min_size=1))
    values = fast.codec.values(flux)[0]
    text = question(task, GRID, labels, fast.codec.text(values))
    assert fast.exact
    assert fast.question(text) == plain(tokenizer, text) == fast.prompt(labels, values)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: f"{e.form}-{e.preparation}")
def test_other_tokenizers_do_their_own_work(encoding):
    other = one_character_a_token()
    fast = PromptTokens(other, TASKS[0], encoding, GRID)
    values = fast.codec.values(np.arange(100, 160, dtype=np.int16)[None])[0]
    text = question(TASKS[0], GRID, ["teff"], fast.codec.text(values))
    assert fast.exact == (encoding.form == "paper")
    assert fast.question(text) == plain(other, text) == fast.prompt(["teff"], values)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: f"{e.form}-{e.preparation}")
@pytest.mark.parametrize("flux", ["", "12", "x", "1, x, 2", "1, ", "x, 1", "0.3,0.4", "é", "٣٠٣", "303307</flux>"])
def test_any_text_has_the_tokenizers_ids(tokenizer, encoding, flux):
    fast = PromptTokens(tokenizer, TASKS[0], encoding, GRID)
    for text in (f"About <flux>{flux}</flux>", f"<flux>{flux}</flux> x", flux, f"{flux}</flux>", "</flux><flux>"):
        assert fast.question(text) == plain(tokenizer, text)


def test_workers_can_have_it(tokenizer):
    fast = PromptTokens(tokenizer, TASKS[1], ENCODINGS[0], GRID)
    values = np.arange(60)
    assert pickle.loads(pickle.dumps(fast)).prompt(["c_fe"], values) == fast.prompt(["c_fe"], values)


def test_a_slow_tokenizer_is_refused():
    with refused(allowed="tokenizer.json"):
        PromptTokens(object(), TASKS[0], ENCODINGS[0], GRID)


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.question.form)
def test_missing_values_do_not_count(tokenizer, task):
    fast = PromptTokens(tokenizer, task, ENCODINGS[0], GRID)
    labels = task.labels[:3]
    given, missing = dict.fromkeys(labels, 2.5), {**dict.fromkeys(labels, 2.5), labels[1]: None}
    ids, counts = fast.answer(render(task, "K", given, labels, "rounded"))
    assert all(counts)
    ids, counts = fast.answer(render(task, "K", missing, labels, "rounded"))
    assert [tokenizer.decode([i]) for i, counted in zip(ids, counts, strict=True) if not counted] == [" null"]
    _, counts = fast.answer(render(task, None, missing, labels, "rounded"))
    assert counts.count(False) == (2 if task.question.form == "atmosphere" else 1)


# ---------------------------------------------------------------- the tiny tokenizer


def test_tiny_tokenizer_is_small_and_the_same_every_time(tokenizer):
    assert len(tokenizer) < 1400
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\t\n\r"), max_size=60))
def test_ascii_comes_back(text):
    tokenizer = build_tokenizer_once()
    ids = plain(tokenizer, text)
    assert tokenizer.decode(ids) == text and tokenizer.unk_token_id not in ids


_built = []


def build_tokenizer_once():
    if not _built:
        _built.append(build_tokenizer())
    return _built[0]


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.question.form)
def test_phrases_and_names_are_one_token_and_digits_stand_alone(tokenizer, task):
    asked = question(task, Wavelength(), task.labels, "303307")
    tokens = [tokenizer.decode([i]) for i in plain(tokenizer, asked)]
    assert {"Given the normalized flux data sorted by wavelength, from", " angstrom to", "303", "307"} <= set(tokens)
    assert "".join(tokens) == asked and len(tokens) < 36 + len(task.labels)
    if task.question.form == "abundances":
        assert {f" {LABELS[name].spelling}" for name in task.labels} <= set(tokens)
    text = render(task, "K", dict.fromkeys(task.labels, -2.5), task.labels, "rounded")
    answer = [tokenizer.decode([i]) for i in plain(tokenizer, text)]
    assert all(len(token) == 1 for token in answer if any(c.isdigit() for c in token))
    assert answer.count(" -") == len(task.labels)


def test_tiny_tokenizer_survives_saving(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = question(TASKS[1], GRID, TASKS[1].labels, "0.303, -0.307") + render(TASKS[0], "K", {}, ["teff"], "rounded")
    assert plain(loaded, text) == plain(tokenizer, text)
    special = ("pad_token_id", "bos_token_id", "eos_token_id", "unk_token_id", "padding_side")
    assert [getattr(loaded, name) for name in special] == [getattr(tokenizer, name) for name in special]


# ---------------------------------------------------------------- the frame


def test_frame_without_a_template(tokenizer):
    assert frame(tokenizer) == ([tokenizer.bos_token_id], plain(tokenizer, "\n"), [tokenizer.eos_token_id])


TURNS = (
    "{% for message in messages %}<{{ message.role }}>\n{{ message.content | trim }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


def test_frame_is_the_chat_template(tokenizer):
    chatty = pickle.loads(pickle.dumps(tokenizer))
    chatty.chat_template = "{{ bos_token }}" + TURNS
    before, between, after = (chatty.decode(ids) for ids in frame(chatty))
    assert before == "<|begin_of_text|><system>\n<end><user>\n"
    assert between == "<end><assistant>\n"
    assert after == "<end>"


def test_frame_of_a_template_without_a_system_turn(tokenizer):
    chatty = pickle.loads(pickle.dumps(tokenizer))
    refuse = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    chatty.chat_template = refuse + TURNS
    assert [chatty.decode(ids) for ids in frame(chatty)] == ["<user>\n", "<end><assistant>\n", "<end>"]
