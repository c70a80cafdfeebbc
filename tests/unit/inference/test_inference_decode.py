"""Decoding on one cache against running the model on every branch's whole text."""

import re

import numpy as np
import pytest

from refusals import refused
from starglot.inference.alphabet import Pieces, read_alphabet
from starglot.inference.decode import Choice, Decoder, NumberField
from starglot.inference.digits import SYMBOLS, expand
from starglot.language.answers import render
from starglot.language.tiny_tokenizer import build_tokenizer
from tasks import task_of

torch = pytest.importorskip("torch")

TASK = task_of("atmosphere", ["teff", "feh"], source="lamost", balanced=True, sizes={"s": 4})
ANSWER = render(TASK, "K", {"teff": 4828.0, "feh": -0.36}, TASK.labels, "rounded")
PRUNE = 0.01
LIMITS = (-6.0, 60000.0)


def tiny_model(tokenizer, seed=0):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).eval()


def teach(model, tokenizer, prompts, texts, steps):
    """Memorise several answers to each prompt: the model is left in doubt, so that trees branch."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    rows = [
        (p, [*tokenizer(t, add_special_tokens=False).input_ids, tokenizer.eos_token_id])
        for p in prompts
        for t in texts
    ]
    longest = max(len(p) + len(a) for p, a in rows)
    ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    labels = torch.full((len(rows), longest), -100)
    for i, (p, a) in enumerate(rows):
        ids[i, : len(p) + len(a)] = torch.tensor([*p, *a])
        labels[i, len(p) : len(p) + len(a)] = torch.tensor(a)
    for _ in range(steps):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def taught():
    torch.set_num_threads(1)
    tokenizer = build_tokenizer()
    prompts = [[tokenizer.bos_token_id, *tokenizer(t, add_special_tokens=False).input_ids] for t in ("303307 ", "9")]
    texts = [
        render(TASK, "K", {"teff": t, "feh": f}, TASK.labels, "rounded")
        for t, f in [(4828, -0.36), (4987, -0.05), (5010, 0.04), (5032, 0.31), (12040, -1.2)]
    ]
    return teach(tiny_model(tokenizer), tokenizer, prompts, texts, steps=120), tokenizer, prompts


def find_numbers(fixed):
    def find(_, text):
        return [
            NumberField(
                f"field{i}",
                m.start(1),
                m[1].replace(" ", ""),
                (2 if i else 0) if fixed else None,
                0.01 if i else 1.0,
                LIMITS,
            )
            for i, m in enumerate(re.finditer(r"'((?: [-.0-9])+) '", text))
        ]

    return find


def by_brute_force(model, tokenizer, prompt, tokens, text, number):
    """The same tree with the model run anew on prompt, answer and branch for every probability."""
    alphabet, pieces = read_alphabet(tokenizer), Pieces(tokenizer)
    ends = np.cumsum([len(t) for t in pieces.texts(tokens)]).tolist()
    head = prompt + tokens[: ends.index(number.start) + 1]

    def after(prefixes):
        texts = [
            [*head, *(t for c in prefix for t in alphabet.paths[SYMBOLS.index(c)][0]), *beginning]
            for prefix in prefixes
            for beginning in alphabet.prefixes
        ]
        ids = torch.full((len(texts), max(map(len, texts))), tokenizer.pad_token_id)
        for i, text in enumerate(texts):
            ids[i, : len(text)] = torch.tensor(text)  # what stands behind a text cannot be seen from within
        with torch.no_grad():
            logits = model(input_ids=ids).logits
        last = torch.stack([row[len(text) - 1] for row, text in zip(logits, texts, strict=True)])
        known = torch.softmax(last.double(), -1).reshape(len(prefixes), len(alphabet.prefixes), -1)
        step = alphabet.prefixes.index
        return np.array(
            [
                [
                    sum(np.prod([float(row[step(way[:n]), t]) for n, t in enumerate(way)]) for way in ways)
                    for ways in alphabet.paths
                ]
                for row in known
            ]
        )

    return expand(
        after,
        PRUNE,
        decimals=number.decimals,
        like=number.like,
        resolution=number.resolution,
        limits=number.limits,
    )


@pytest.mark.parametrize(("implementation", "fixed"), [("sdpa", True), ("sdpa", False), ("eager", True)])
def test_trees_equal_running_every_branch_anew(taught, implementation, fixed, monkeypatch):
    model, tokenizer, prompts = taught
    model.set_attn_implementation(implementation)
    decoder = Decoder(model, tokenizer, stop={tokenizer.eos_token_id}, max_tokens=60, prune=PRUNE)
    find = find_numbers(fixed)
    decoded = decoder.answer(prompts, find)
    branches = 0
    for row, (prompt, answer) in enumerate(zip(prompts, decoded, strict=True)):
        numbers = find(row, answer.text)
        assert len(numbers) == 2 and set(answer.numbers) == {"field0", "field1"}
        for number in numbers:
            expected = by_brute_force(model, tokenizer, prompt, answer.tokens, answer.text, number)
            found = answer.numbers[number.key]
            assert {leaf.text: leaf.probability for leaf in found.leaves} == pytest.approx(
                {leaf.text: leaf.probability for leaf in expected.leaves}, abs=1e-4
            )
            assert found.mean == pytest.approx(expected.mean, rel=1e-4, abs=1e-4)
            assert found.sigma == pytest.approx(expected.sigma, rel=1e-3, abs=1e-4)
            branches += len(found.leaves)
    assert branches > 40  # the model is in doubt: there was something to compare
    # Bounded memory: the same trees, five nodes at a time.
    monkeypatch.setattr("starglot.inference.decode._MAX_LOGITS", 5 * 2 * 2 * len(tokenizer))
    for one, other in zip(decoded, decoder.answer(prompts, find), strict=True):
        assert one.text == other.text
        for key, distribution in one.numbers.items():
            assert other.numbers[key].mean == pytest.approx(distribution.mean, rel=1e-5)


def test_batched_greedy_text_is_the_models_own(taught):
    model, tokenizer, prompts = taught
    decoder = Decoder(model, tokenizer, stop={tokenizer.eos_token_id}, max_tokens=60, prune=PRUNE)
    batched = [d.text for d in decoder.answer(prompts, lambda *_: [])]
    for prompt, text in zip(prompts, batched, strict=True):
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=60,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
        )
        assert text == tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True)


def test_a_choice_is_as_probable_as_the_model_has_it(taught):
    model, tokenizer, prompts = taught
    letters = tuple(tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in "AFGKM")
    place = tokenizer(ANSWER, add_special_tokens=False).input_ids.index(letters[3])
    choices = [Choice(place, letters), Choice(place + 1, letters)]
    answered, none = (
        Decoder(model, tokenizer, stop={tokenizer.eos_token_id}, max_tokens=60, prune=PRUNE, choice=choice).answer(
            prompts, lambda *_: []
        )
        for choice in choices
    )
    assert [each.chosen for each in none] == [None, None]  # no letter stands there
    for prompt, found in zip(prompts, answered, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + found.tokens[:place]])).logits[0, -1]
        theirs = torch.softmax(logits[list(letters)].double(), -1)[3].logit()
        assert found.chosen == pytest.approx(float(theirs), rel=1e-4)


def test_an_answer_stops_at_the_longest_length_and_may_have_no_number(taught):
    _, tokenizer, prompts = taught
    decoder = Decoder(tiny_model(tokenizer), tokenizer, stop={tokenizer.eos_token_id}, max_tokens=7, prune=PRUNE)
    for decoded in decoder.answer(prompts, find_numbers(True)):
        assert len(decoded.tokens) <= 7
        assert decoded.numbers == {}
    assert decoder.answer([], find_numbers(True)) == []


def test_a_number_inside_a_token_is_left_out(taught):
    model, tokenizer, prompts = taught
    decoder = Decoder(model, tokenizer, stop={tokenizer.eos_token_id}, max_tokens=30, prune=PRUNE)
    off = [NumberField("off", 10_000, "4828", None, 1.0, LIMITS)]
    assert all(d.numbers == {} for d in decoder.answer(prompts, lambda *_: off))


def test_alphabet_of_the_tiny_tokenizer():
    tokenizer = build_tokenizer()
    alphabet = read_alphabet(tokenizer)
    for symbol, ways in zip(SYMBOLS[:-1], alphabet.paths[:-1], strict=True):
        assert [tokenizer.decode(list(path)) for path in ways] == [f" {symbol}"]
    assert {tokenizer.decode(list(path)) for path in alphabet.paths[-1]} == {" '", " ',", " ']"}
    assert len(alphabet.prefixes) == 2  # nothing, and the space before a digit


def test_alphabet_where_space_and_digit_are_one_token():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["'", "[", "]", ",", *(f" {c}" for c in "0123456789.-"), " '", " ',", " ']", "<unk>"]
    raw = Tokenizer(models.WordLevel({p: i for i, p in enumerate(pieces)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(pattern=" ", behavior="merged_with_next")
    alphabet = read_alphabet(PreTrainedTokenizerFast(tokenizer_object=raw))
    assert alphabet.prefixes == ((),)
    assert alphabet.paths[4] == ((pieces.index(" 4"),),)


def test_a_tokenizer_that_joins_spaced_numbers_is_refused():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({" ' 4 8": 0, "<unk>": 1}, unk_token="<unk>"))
    with refused(todo="base"):
        read_alphabet(PreTrainedTokenizerFast(tokenizer_object=raw))
