"""Encodings and answers through Llama 3's own tokenizer, against tiktoken, which it was made with."""

from __future__ import annotations

import numpy as np
import pytest

from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES, LABELS
from starglot.language.answers import render
from starglot.language.codec import Codec
from starglot.language.prompts import question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.tokens import PromptTokens
from tasks import task_of

pytestmark = pytest.mark.real

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GRID = Wavelength()


def task(form: str, labels: tuple[str, ...]) -> Task:
    return task_of(form, list(labels), source="lamost", balanced=False, sizes={"x": None})


TASKS = [task("atmosphere", ATMOSPHERE_NAMES), task("abundances", ABUNDANCE_NAMES)]
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda t: t.question.form)


@pytest.fixture(scope="module")
def model_file(project):
    path = project.parent / "shared" / "tokenizer" / "llama3" / "tokenizer.model"
    if not path.is_file():
        pytest.skip("no Llama 3 tokenizer beside the checkout (../shared/tokenizer/llama3)")
    return path


@pytest.fixture(scope="module")
def llama(model_file):
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import TikTokenConverter

    return PreTrainedTokenizerFast(tokenizer_object=TikTokenConverter(str(model_file), pattern=SPLIT).converted())


@pytest.fixture(scope="module")
def truth(model_file):
    """text -> ids by tiktoken."""
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import load_tiktoken_bpe

    ranks = load_tiktoken_bpe(str(model_file))
    return tiktoken.Encoding("llama3", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens={}).encode_ordinary


@pytest.fixture(scope="module")
def flux() -> np.ndarray:
    """Stored flux with every value from -0.05 to 1.05, the first one negative."""
    values = np.random.default_rng(5).permutation(np.resize(np.arange(-50, 1051), GRID.size))
    values[0] = -3
    return values[None].astype(np.int16)


@each_task
@pytest.mark.parametrize("preparation", ["as_is", "continuum"])
@pytest.mark.parametrize("form", ["paper", "packed"])
def test_ids_by_table_are_tiktokens(llama, truth, flux, task, form, preparation):
    fast = PromptTokens(llama, task, Encoding(form=form, preparation=preparation), GRID)
    assert fast.exact
    values = fast.codec.values(flux)[0]
    text = question(task, GRID, task.labels, fast.codec.text(values))
    assert fast.question(text) == truth(text) == fast.prompt(task.labels, values)


def test_packed_is_exactly_one_token_a_value(llama, truth):
    codec = Codec(Encoding(form="packed"), GRID)
    for values in (np.arange(GRID.size) % 1000, np.arange(GRID.size)[::-1] * 7 % 1000):
        text = codec.text(values)
        ids = llama(question(TASKS[0], GRID, TASKS[0].labels, text), add_special_tokens=False)["input_ids"]
        tokens = [llama.decode([i]) for i in ids]
        start = tokens.index("flux") + 2  # behind <flux>
        assert tokens[start : start + 4901] == [f"{value:03d}" for value in values]
        assert tokens[start + 4901 :] == ["</", "flux", ">"]
        assert len(truth(text)) == 4901


def test_the_papers_form_is_five_tokens_a_value(truth):
    text = Codec(Encoding(form="paper"), GRID).text(np.full(GRID.size, 303))
    assert len(truth(text)) == 24503


@each_task
@pytest.mark.parametrize("digits", ["rounded", "float32"])
def test_each_digit_of_an_answer_is_a_token(llama, truth, task, digits):
    values = {name: float(np.float32(LABELS[name].low / 3)) for name in task.labels}
    text = render(task, "M", values, task.labels, digits)
    ids, counts = PromptTokens(llama, task, Encoding(form="packed"), GRID).answer(text)
    assert ids == truth(text) and all(counts)
    tokens = [llama.decode([i]) for i in ids]
    assert all(len(token) == 1 for token in tokens if any(c.isdigit() for c in token))


@each_task
def test_the_tiny_tokenizer_splits_numbers_alike(llama, flux, task):
    tiny = build_tokenizer()
    values = dict.fromkeys(task.labels, -2.46)
    codec = PromptTokens(tiny, task, Encoding(form="paper"), GRID).codec
    texts = [
        render(task, "K", values, task.labels, "rounded"),
        render(task, None, {}, task.labels, "rounded"),
        codec.text(codec.values(flux)[0]),
        "303307302",
        "5779.25",
    ]
    for text in texts:
        numbers = []
        for tokenizer in (llama, tiny):
            tokens = (tokenizer.decode([i]) for i in tokenizer(text, add_special_tokens=False)["input_ids"])
            numbers.append(
                [token for token in tokens if not any(c.isalpha() or c in "[_:" for c in token)]
            )  # names are whole in the tiny one
        assert numbers[0] == numbers[1]
