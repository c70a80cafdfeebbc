"""Digit trees with the tokenizer of Llama 3."""

from pathlib import Path

import pytest

from starglot.inference.alphabet import Pieces, read_alphabet
from starglot.inference.digits import SYMBOLS

FOLDER = Path(__file__).parents[3] / "shared" / "tokenizer" / "llama3"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the Llama 3 tokenizer is not in {FOLDER}"),
]


def test_llama_3_writes_a_space_and_a_digit():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(FOLDER))
    alphabet = read_alphabet(tokenizer)
    assert [len(alphabet.paths[SYMBOLS.index(c)][0]) for c in "0123456789.-"] == [2] * 10 + [1, 1]
    assert [tokenizer.decode(list(prefix)) for prefix in alphabet.prefixes] == ["", " "]
    assert len(alphabet.paths[-1]) == 3
    text = "[ 'K', ' 4 8 2 8 ', ' - 0 . 3 6 ']"
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = Pieces(tokenizer).texts(tokens)
    assert "".join(pieces) == text
    assert pieces[4:7] == [" '", " ", "4"]  # a number begins at a token
