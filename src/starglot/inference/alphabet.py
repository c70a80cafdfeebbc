"""How a tokenizer writes the characters of a number, spaced or plain, read off the tokenizer itself.

Llama 3 writes ' 4 8 . 2 ' as 'Ġ' '4' 'Ġ' '8' 'Ġ.' 'Ġ' '2'; others join the space with the digit.  The digit tree
speaks in characters; an alphabet turns them into token paths and token probabilities into character probabilities.
Of a plain number, ``0.315``, the decimals alone are looked into: Llama 3 writes up to three as one token.
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
    columns: the tokens whose probabilities are needed; together: digits that one of them holds, more than one only
    behind the point of a plain number: then they are all numbers of so many digits, in order.
    """

    paths: tuple[tuple[tuple[int, ...], ...], ...]
    prefixes: tuple[tuple[int, ...], ...]
    columns: tuple[int, ...]
    together: int = 1

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
            sum(
                (np.exp(log_probabilities[:, beginnings, tokens].sum(axis=1)) for beginnings, tokens in ways),
                np.zeros(len(log_probabilities)),
            )
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


def read_decimals(tokenizer: PreTrainedTokenizerBase, places: int) -> Alphabet:
    """The alphabet of the first ``places`` decimals of a plain number: one token, or a token each.

    Raises StarglotError for a tokenizer that joins digits otherwise, or with the point.
    """

    def behind_the_point(digits: str) -> list[int]:
        before, both = (tokenizer(f"0.{text}", add_special_tokens=False)["input_ids"] for text in ("", digits))
        return list(both[len(before) :]) if both[: len(before)] == before else []

    numbers = [behind_the_point(f"{number:0{places}d}") for number in range(10**places)]
    single = [behind_the_point(str(digit)) for digit in range(10)]
    if all(len(ids) == 1 for ids in numbers):
        return Alphabet((), ((),), tuple(ids[0] for ids in numbers), places)
    texts = [f"{number:0{places}d}" for number in range(10**places)]
    apart = [[token for digit in text for token in single[int(digit)]] for text in texts]
    if any(len(ids) != 1 for ids in single) or numbers != apart:
        raise StarglotError(
            "this tokenizer joins the decimals of a plain number in its own way",
            where=tokenizer.name_or_path,
            allowed=f"{places} decimals as one token, as Llama 3 writes them, or digit by digit, as SmolLM2",
            todo="use another base model",
        )
    paths = tuple(((single[int(symbol)][0],),) if symbol.isdigit() else () for symbol in SYMBOLS)
    return Alphabet(paths, ((),), tuple(ids[0] for ids in single))


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
