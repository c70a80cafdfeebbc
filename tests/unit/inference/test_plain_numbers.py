"""Distributions of plain numbers, ``Redshift: 0.315``, against the model's own probabilities of every text."""

import numpy as np
import pytest
from test_digit_answers import digitwise
from test_inference_decode import teach, tiny_model

from refusals import refused
from starglot.config.tasks import form_task
from starglot.inference.alphabet import read_decimals
from starglot.inference.decode import Decoder
from starglot.inference.digits import SYMBOLS, DigitTree, grow_joined
from starglot.inference.fields import number_fields
from starglot.language.answers import parse
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.models.redshifts import (
    SMALL_DELTA,
    Z_FITLIMIT,
    Doubt,
    doubt_of,
    doubt_of_chances,
    warning_names,
)

torch = pytest.importorskip("torch")

TASK = form_task("redshift", ["redshift"])
TEXTS = ["Redshift: 0.315", "Redshift: 0.317", "Redshift: 0.122"]


@pytest.mark.parametrize("make", [lambda: build_tokenizer([TASK]), digitwise])
def test_the_distribution_is_that_of_all_texts(make):
    tokenizer = make()
    prompt = tokenizer("z?", add_special_tokens=False).input_ids
    model = teach(tiny_model(tokenizer), tokenizer, [prompt], TEXTS, 60)
    longer = tokenizer("what is z?", add_special_tokens=False).input_ids  # rows of two lengths
    decoder = Decoder(model, tokenizer, stop={tokenizer.eos_token_id}, max_tokens=24, prune=1e-4, decimals=3)

    def find(row, text):
        return number_fields(TASK, ["redshift"], parse(TASK, ["redshift"], text), text, "rounded")

    told = decoder.answer([prompt, longer], find)[0]
    assert told.text in TEXTS
    answers = [tokenizer(f"Redshift: 0.{n:03d}", add_special_tokens=False).input_ids for n in range(1000)]
    ids = torch.tensor([[*prompt, *answer] for answer in answers])
    with torch.no_grad():
        logits = model(input_ids=ids).logits.log_softmax(-1)
    start = len(prompt) + len(tokenizer("Redshift: 0.", add_special_tokens=False).input_ids)
    each = logits[:, start - 1 : -1].gather(2, ids[:, start:, None])[..., 0].sum(dim=1).exp().double().numpy()
    mean = each @ np.arange(1000) / each.sum() / 1000
    found = told.numbers["redshift"]
    assert found.mass == pytest.approx(each.sum(), abs=2e-3) and found.mean == pytest.approx(mean, abs=2e-4)
    chances = found.chances((np.arange(1001) - 0.5) / 1000)
    assert chances[[315, 317, 122]] == pytest.approx(each[[315, 317, 122]] / each.sum(), abs=5e-3)


def test_a_tokenizer_that_joins_two_of_three_digits_is_refused():
    class Pairs:
        name_or_path = "pairs"

        def __call__(self, text, add_special_tokens):
            whole, _, decimals = text.partition(".")
            return {"input_ids": [whole, ".", *([decimals[:2], decimals[2:]] if len(decimals) > 2 else decimals)]}

    with refused(where="pairs", allowed="Llama 3"):
        read_decimals(Pairs(), 3)


def test_decimals_told_at_once_grow_the_tree_that_is_told_digit_by_digit():
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.full(1000, 0.01)) * 0.9
    tree = DigitTree(1e-5, decimals=3, limits=(0.0, 1.0))
    for symbol in "0.":
        tree.grow(np.array([[float(each == symbol) for each in SYMBOLS]]))
    grow_joined(tree, chances, 3)
    found = tree.distribution()
    assert found.mass == pytest.approx(0.9, abs=1e-3)
    assert found.mean == pytest.approx(chances @ np.arange(1000) / 900, abs=1e-4)


# ---------------------------------------------------------------- second-best redshifts and warnings


def test_the_second_best_redshift_is_the_best_that_is_apart():
    trial = np.linspace(0, 0.5, 5001)  # 30 km/s
    chi2 = np.full((1, 5001), 100.0)
    chi2[0, [1000, 1020, 3000]] = [0.0, 1.0, 16.0]  # 1020 is 545 km/s away: the same redshift
    doubt = doubt_of(trial, chi2, trial[[1000]])
    assert doubt.second[0] == pytest.approx(0.3) and doubt.gap[0] == 16 and doubt.warning[0] == 0
    chi2[0, 3000] = 8.0
    assert doubt_of(trial, chi2, trial[[1000]]).warning[0] == SMALL_DELTA == 4
    chi2[0, 0] = -10.0
    assert warning_names(int(doubt_of(trial, chi2, trial[[0]]).warning[0])) == ["Z_FITLIMIT"]
    assert Z_FITLIMIT == 32


def test_a_wide_peak_is_no_second_redshift_and_a_small_one_beside_it_is():
    trial = np.arange(0.0, 0.5, 0.001)
    wide = np.exp(-0.5 * ((trial - 0.2) / 0.02) ** 2)  # 5,000 km/s
    low, high = (wide + height * np.exp(-0.5 * ((trial - 0.35) / 0.02) ** 2) for height in (0.001, 0.05))
    chance = np.stack([each / each.sum() for each in (wide, low, high)])
    doubt = doubt_of_chances(trial, chance, np.full(3, 0.2))
    assert np.isnan(doubt.second[0]) and doubt.second[1:] == pytest.approx([0.35, 0.35], abs=0.002)
    assert doubt.gap[1:] == pytest.approx([-2 * np.log(0.001), -2 * np.log(0.05)], rel=0.01)
    assert doubt.gap[0] > 30 and doubt.warning.tolist() == [0, 0, SMALL_DELTA]
    flat = doubt_of_chances(trial, np.full((1, 500), 0.002), np.array([0.2]))
    assert np.isnan(flat.second[0]) and flat.warning[0] & SMALL_DELTA


def test_a_probability_is_a_chi2_of_minus_two_logarithms():
    trial = np.arange(0.0, 0.5, 0.001)
    chance = np.zeros((2, 500))
    chance[0, [100, 300]] = [0.95, 0.05]
    chance[1, 100] = 1.0
    doubt = doubt_of_chances(trial, chance, np.array([0.1, 0.1]))
    assert isinstance(doubt, Doubt) and doubt.second[0] == pytest.approx(0.3) and np.isnan(doubt.second[1])
    assert doubt.gap[0] == pytest.approx(2 * np.log(19)) and doubt.gap[1] > 50
    assert doubt.warning.tolist() == [SMALL_DELTA, 0]
