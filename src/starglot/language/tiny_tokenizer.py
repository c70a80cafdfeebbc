"""A small tokenizer for the demo's tiny base model, that splits numbers and marks as Llama 3 does.

Its pieces: every string of one to three digits, printable ASCII, and what the project's questions and answers say.
Numbers come apart exactly as with Llama 3's own tokenizer, so encodings, digit trees and masks that work with one
work with the other.  What is the same in every question is one piece, and so is a label's name: a quarter of a second
stage's tokens would go into reading them word by word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from starglot.config.root import Wavelength
from starglot.config.tasks import Task, form_task
from starglot.labels import ABUNDANCE_NAMES, ABUNDANCES, ATMOSPHERE, ATMOSPHERE_NAMES, CLASSES
from starglot.language.answers import NULL, render
from starglot.language.prompts import head, question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS, UNKNOWN = "<|pad|>", "<|begin_of_text|>", "<|end_of_text|>", "<|unknown|>"

#: Llama 3's rule: contractions, words with one leading mark or space, up to three digits, other marks, white space.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


#: Names as answers begin a value with them (space or bracket, name, colon, opening quote), and as stage 2 lists them.
_SPELT = ("class", *(label.spelling for label in (*ATMOSPHERE, *ABUNDANCES)))
_ANY_NAME = "|".join(re.escape(name) for name in sorted(_SPELT, key=len, reverse=True))
_NAMES = rf"[ \[](?:{_ANY_NAME}):'| (?:{_ANY_NAME})(?=[ .])"


def _tasks() -> list[Task]:
    """A task of each of the paper's forms, with every label of the paper that it can name."""
    return [
        form_task(form, names)
        for form, names in (
            ("atmosphere", ATMOSPHERE_NAMES),
            ("abundances", (*ABUNDANCE_NAMES, *ATMOSPHERE_NAMES)),
        )
    ]


def _phrases(further: Sequence[Task]) -> str:
    """What questions say between their numbers and names, as a pattern."""
    said = {
        part.rstrip(" ")
        for task in [*_tasks(), *further]
        for part in re.split(rf"[0-9]+|'?(?:{_ANY_NAME})'?", head(task, Wavelength(), task.labels))
        if len(part.split()) > 1
    }
    return "|".join(re.escape(part) for part in sorted(said, key=len, reverse=True))


def _texts(further: Sequence[Task]) -> list[str]:
    """Questions and answers that between them hold every piece of the project."""
    both: list[str] = []
    for task in _tasks():
        names = task.labels
        low = {label.name: label.low for label in (*ATMOSPHERE, *ABUNDANCES)}
        for turn in range(len(names)):  # every label stands first once: the bracket sticks to it
            order = [*names[turn:], *names[:turn]]
            both.append(question(task, Wavelength(), order, "0.303, 0.307, -0.1"))
            both.extend(render(task, letter, low, order, "rounded") for letter in CLASSES)
            both.append(render(task, None, {}, order, "rounded"))
        both.append(question(task, Wavelength(), names, "-0.1"))
    for task in further:
        both.append(question(task, Wavelength(), task.labels, "0.303, -0.1"))
        both += [render(task, letter, {}, task.labels, "rounded") for letter in CLASSES]
    return both


def build_tokenizer(further: Sequence[Task] = ()) -> PreTrainedTokenizerFast:
    """A fresh tokenizer, the same at every call; save and load it like any other of Hugging Face's.

    further: tasks beyond the paper's whose questions and answers have pieces of their own.

    About 1,300 pieces.  Printable ASCII, tab and line breaks encode and decode to the same text; any other
    character becomes ``<|unknown|>``.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"{_phrases(further)}|{_NAMES}|{_SPLIT}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    digits = "0123456789"
    characters = [piece for code in (9, 10, 13, *range(32, 127)) for piece, _ in split.pre_tokenize_str(chr(code))]
    numbers = ["".join(parts) for length in (2, 3) for parts in product(digits, repeat=length)]
    words = {piece for text in [*_texts(further), NULL] for piece, _ in split.pre_tokenize_str(text)}
    pieces = [PAD, BOS, EOS, UNKNOWN, *characters, *numbers, *sorted(words)]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    # ignore_merges takes a known piece whole; merges are not needed, unknown words fall apart into characters.
    model = models.BPE(vocab=vocabulary, merges=[], ignore_merges=True, unk_token=UNKNOWN)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
