"""How a tokenizer writes the characters of a spaced number, read off the tokenizer itself.

Llama 3 writes ' 4 8 . 2 ' as 'Ġ' '4' 'Ġ' '8' 'Ġ.' 'Ġ' '2'; others join the space with the digit.  The digit tree
speaks in characters; an alphabet turns them into token paths and token probabilities into character probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from starglot.errors import StarglotError
from starglot.inference.digits import SYMBOLS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Beginnings of a quoted number, as in answers; a character must be written the same way behind each.
_CONTEXTS = (" '", " ' 4", " ' 4 .", " ' -")
#: Ways in which a quoted number ends.
_ENDINGS = (" ',", " ']", " '")


@dataclass(frozen=True)
class Alphabet:
    """Token paths of the symbols of :mod:`starglot.inference.digits`.

    paths: for each symbol its token path; the end has several, each up to the token with the closing quote;
    prefixes: the beginnings that paths share, the empty one first (with Llama 3: nothing, and the space);
    columns: the tokens whose probabilities are needed.
    """

    paths: tuple[tuple[tuple[int, ...], ...], ...]
    prefixes: tuple[tuple[int, ...], ...]
    columns: tuple[int, ...]

    def beginnings(self, prefix: tuple[int, ...]) -> list[int]:
        """Positions in ``prefixes`` of the non-empty beginnings of ``prefix``, itself included."""
        return [self.prefixes.index(prefix[:n]) for n in range(1, len(prefix) + 1)]

    @cached_property
    def _steps(self) -> list[list[tuple[list[int], list[int]]]]:
        """By symbol and way: positions of the beginnings and of the tokens whose probabilities multiply."""
        return [
            [
                ([self.prefixes.index(way[:n]) for n in range(len(way))], [self.columns.index(t) for t in way])
                for way in ways
            ]
            for ways in self.paths
        ]

    def symbol_probabilities(self, log_probabilities: np.ndarray) -> np.ndarray:
        """(n, prefixes, columns) token log-probabilities after each prefix -> (n, symbols) probabilities."""
        columns = [
            sum(np.exp(log_probabilities[:, beginnings, tokens].sum(axis=1)) for beginnings, tokens in ways)
            for ways in self._steps
        ]
        return np.stack(columns, axis=1)


def read_alphabet(tokenizer: PreTrainedTokenizerBase) -> Alphabet:
    """The alphabet of ``tokenizer``.

    Raises StarglotError for a tokenizer that writes a spaced character differently from place to place.
    """

    def ids(text: str) -> list[int]:
        tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def behind(context: str, text: str) -> tuple[int, ...] | None:
        before, both = ids(context), ids(context + text)
        return tuple(both[len(before) :]) if both[: len(before)] == before and len(both) > len(before) else None

    paths: list[tuple[tuple[int, ...], ...]] = []
    for symbol in SYMBOLS:
        if symbol:
            contexts = {".": (" ' 4",), "-": (" '",)}.get(symbol, _CONTEXTS)
            ways = {behind(context, f" {symbol}") for context in contexts}
            known = next(iter(ways))
            if len(ways) > 1 or known is None:
                raise StarglotError(
                    f"this tokenizer writes ' {symbol}' differently from place to place in a spaced number",
                    where=tokenizer.name_or_path,
                    allowed="tokenizers that keep the characters of ' 4 8 2 8 ' apart",
                    todo="use another base model",
                )
            paths.append((known,))
        else:
            endings = {_until_quote(tokenizer, behind(" ' 4", ending) or ()) for ending in _ENDINGS}
            paths.append(tuple(sorted(ending for ending in endings if ending)))
    every = [path for ways in paths for path in ways]
    prefixes = {path[:n] for path in every for n in range(len(path))}
    columns = {token for path in every for token in path}
    return Alphabet(tuple(paths), tuple(sorted(prefixes, key=lambda p: (len(p), p))), tuple(sorted(columns)))


def _until_quote(tokenizer: PreTrainedTokenizerBase, path: tuple[int, ...]) -> tuple[int, ...]:
    """``path`` up to the token with the closing quote: what follows it says nothing about the number."""
    for n, token in enumerate(path):
        if "'" in tokenizer.decode([token]):
            return path[: n + 1]
    return path


class Pieces:
    """The text of single tokens, so that a place in an answer's text is known as a place in its tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}
        # Some tokenizers drop a space at the start of a text, so each token is decoded behind another one.
        self._anchor = tokenizer("'", add_special_tokens=False)["input_ids"]
        self._skip = len(self._decode(self._anchor))

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def texts(self, tokens: list[int]) -> list[str]:
        """The text that each token adds."""
        for token in tokens:
            if token not in self._known:
                self._known[token] = self._decode([*self._anchor, token])[self._skip :]
        return [self._known[token] for token in tokens]
