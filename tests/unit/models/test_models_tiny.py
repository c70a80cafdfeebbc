"""The tiny base: Llama's architecture, numbers in order, the same weights from the same settings."""

import numpy as np
import pytest

from starglot.config.bases.tiny import TinyBase
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.models.tiny import build_tiny

SETTINGS = TinyBase(kind="tiny", task="atmosphere", size="demo", encoding="demo", seed=5)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    return build_tiny(SETTINGS, tokenizer)


def rows(model, tokenizer, name, tokens):
    return model.state_dict()[name].numpy()[tokenizer.convert_tokens_to_ids(tokens)]


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
def test_numbers_lie_in_their_order(model, tokenizer, name):
    numbers = rows(model, tokenizer, name, [f"{value:03d}" for value in range(1000)])
    distance = {step: np.linalg.norm(numbers[step:] - numbers[:-step], axis=1).mean() for step in (1, 10, 100)}
    assert distance[1] < 0.3 * distance[10] < 0.3 * distance[100]


def test_other_tokens_stay_apart(model, tokenizer):
    words = rows(model, tokenizer, "model.embed_tokens.weight", ["K", "M", ".", "'", "A", "F"])
    likeness = np.corrcoef(words)[~np.eye(len(words), dtype=bool)]
    assert np.abs(likeness).max() < 0.5


def test_the_seed_decides_every_weight(model, tokenizer):
    again = build_tiny(SETTINGS, tokenizer).state_dict()
    other = build_tiny(SETTINGS.model_copy(update={"seed": 6}), tokenizer).state_dict()
    own = model.state_dict()
    assert all(own[name].equal(again[name]) for name in own)
    assert not any(own[name].equal(other[name]) for name in own if own[name].ndim > 1)


def test_it_is_a_llama_with_its_own_output_layer(model, tokenizer):
    assert model.config.model_type == "llama"
    assert model.config.vocab_size == len(tokenizer)
    assert model.get_input_embeddings().weight.data_ptr() != model.lm_head.weight.data_ptr()
    assert 0.5e6 < sum(parameter.numel() for parameter in model.parameters()) < 2e6
