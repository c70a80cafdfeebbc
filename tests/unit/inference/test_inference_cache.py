"""The roomy cache holds what the library's own cache holds, whatever comes in which portions."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaConfig

from starglot.inference.cache import roomy_cache


@settings(max_examples=30)
@given(portions=st.lists(st.integers(1, 40), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_the_same_keys_and_values_as_the_library_s_cache(portions, seed):
    config = LlamaConfig(num_hidden_layers=2)
    mine, theirs = roomy_cache(config), DynamicCache(config=config)
    generator = torch.Generator().manual_seed(seed)
    for n in portions:
        for layer in range(2):
            keys, values = torch.randn((2, 3, 4, n, 5), generator=generator)
            for a, b in zip(mine.update(keys, values, layer), theirs.update(keys, values, layer), strict=True):
                assert torch.equal(a, b)
        assert mine.get_seq_length() == theirs.get_seq_length()
    assert mine.layers[0]._rooms[0].shape[-2] < 2 * sum(portions) + 2
