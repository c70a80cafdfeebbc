"""Token ids of questions and answers: the tokenizer's own, found faster.

A spectrum in the paper's form is 24,503 tokens, which a tokenizer makes at some 20 spectra a second.  Its flux is a
list of a few thousand different numbers, and a number's tokens do not depend on its neighbours, so a table of ids per
number gives the same ids many times faster.  Whether that holds for a tokenizer is tried out once; where it does not,
every question goes through the tokenizer itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.flux_text import FluxText
from starglot.language.answers import NULL
from starglot.language.codec import Codec
from starglot.language.prompts import CLOSE, OPEN, head

#: Thousandths with which a tokenizer is tried: every digit count, both signs, beyond 1.
_PROBE = (0, 1000, *range(1, 1000, 7), 300, 30, 999, 1001, 1500, 32767, -1, -30, -300, -305, -1000, -32768)
#: First values of the tried spectra: '-' may join what stands before it.
_FIRST = (303, -3, 0, 1000)
#: Thousandths whose ids stand in an array; spectra with values beyond take the way over the text.
_LOW, _HIGH = -1000, 1000
#: Beginnings of questions that are remembered, one for each set of labels asked for.
_MOST_HEADS = 4096


class _Numbers(dict[str, list[int]]):
    """Ids of numbers as they follow another number, the separator included; a new one is tokenised.

    KeyError for text that is no number: its tokens could depend on what stands around it.
    """

    def __init__(self, tokenizer: Any, form: FluxText):
        super().__init__()
        self.tokenizer, self.form = tokenizer, form

    def __missing__(self, number: str) -> list[int]:
        if not self.form.number.fullmatch(number):
            raise KeyError(number)
        ids: list[int]
        self[number] = ids = self.tokenizer(f"{self.form.separator}{number}", add_special_tokens=False)["input_ids"]
        return ids


class PromptTokens:
    """Token ids for one tokenizer, task and encoding.

    exact: the table of ids per value gives this tokenizer's own ids; where it does not, :meth:`question` and
    :meth:`prompt` use the tokenizer.
    """

    def __init__(self, tokenizer: Any, task: Task, encoding: Encoding, wavelength: Wavelength):
        """``tokenizer``: a fast Hugging Face tokenizer (StarglotError when it is a slow one)."""
        if not getattr(tokenizer, "is_fast", False):
            raise StarglotError(
                f"the tokenizer {type(tokenizer).__name__} cannot say where in the text its tokens stand",
                where=getattr(tokenizer, "name_or_path", None) or None,
                allowed="a fast tokenizer (a folder with tokenizer.json)",
                todo="save the base model with its fast tokenizer",
            )
        self.tokenizer, self.task, self.wavelength = tokenizer, task, wavelength
        self.codec = Codec(encoding, wavelength)
        self._form = self.codec.form
        self._heads: dict[str, list[int]] = {}
        self._numbers = _Numbers(tokenizer, self._form)
        self._rows: np.ndarray | None = None
        self._tail = self._encode(CLOSE)
        self._single = self._single_tokens() if self._form.width else None
        self.exact = self._is_exact()

    # ------------------------------------------------------------ questions

    def question(self, text: str) -> list[int]:
        """Ids of a question, the same as the tokenizer's own without special tokens."""
        start, stop = text.find(OPEN) + len(OPEN), len(text) - len(CLOSE)
        if self.exact and len(OPEN) <= start <= stop and text.endswith(CLOSE):
            ids = self._by_table(text[:start], text[start:stop])
            if ids is not None:
                return ids
        return self._encode(text)

    def prompt(self, labels: Sequence[str], values: ArrayLike) -> list[int]:
        """Ids of the question for ``labels`` about a spectrum of (n_values,) integers.

        The same as :meth:`question` of the question in writing, without writing it; training calls it with values
        that it has changed.
        """
        start = head(self.task, self.wavelength, labels) + OPEN
        row = np.asarray(values)
        if self.exact and self._single is not None:
            return [*self._head(start), *self._single[row - self._form.low].tolist(), *self._tail]
        low, high = self._in_array
        if self.exact and not self._form.width and low <= row.min() and row.max() <= high:
            ids = self._number_rows()[row[1:] - low].ravel()
            first = self._head(start + self._form.write(int(row[0])))
            return [*first, *ids[ids >= 0].tolist(), *self._tail]
        return self.question(f"{start}{self.codec.text(row)}{CLOSE}")

    def typical(self) -> int:
        """Tokens of the question for all labels about a spectrum with values of two and three digits."""
        # 37 and 990 have no common factor: every value from 10 to 999 comes once before any comes again.
        return len(self.prompt(self.task.labels, np.arange(self.codec.n_values) * 37 % 990 + 10))

    def per_value(self) -> float:
        """Tokens that a value of a spectrum takes, on average."""
        start = head(self.task, self.wavelength, self.task.labels) + OPEN
        return (self.typical() - len(self._head(start)) - len(self._tail)) / self.codec.n_values

    def _by_table(self, start: str, flux: str) -> list[int] | None:
        """Ids by the table; None for a flux that is not of the encoding's form."""
        if self._form.width:
            values = self._form.values(flux)
            if self._single is None or values is None:
                return None
            return [*self._head(start), *self._single[values - self._form.low].tolist(), *self._tail]
        first, *rest = flux.split(self._form.separator)
        if not self._form.number.fullmatch(first):
            return None
        try:
            ids = list(chain.from_iterable(map(self._numbers.__getitem__, rest)))
        except KeyError:
            return None
        # Kept with the head: the first number has no comma before it, and a minus would join the '>'.
        return [*self._head(start + first), *ids, *self._tail]

    @property
    def _in_array(self) -> tuple[int, int]:
        """The least and the greatest value whose ids stand in an array."""
        return max(_LOW, self._form.low), min(_HIGH, self._form.high)

    def _number_rows(self) -> np.ndarray:
        """Ids of these numbers as an array, rows filled up with -1."""
        if self._rows is None:
            low, high = self._in_array
            each = [self._numbers[self._form.write(value)] for value in range(low, high + 1)]
            self._rows = np.full((len(each), max(map(len, each))), -1)
            for row, ids in zip(self._rows, each, strict=True):
                row[: len(ids)] = ids
        return self._rows

    def _head(self, text: str) -> list[int]:
        """Ids of the start of a question; few differ, so they are kept."""
        found = self._heads.get(text)
        if found is None:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            found = self._heads[text] = self._encode(text)
        return found

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _single_tokens(self) -> np.ndarray | None:
        """Id of each value as it is written, from the least one; None when some take more than one token."""
        ids = [self._encode(self._form.write(value)) for value in range(self._form.low, self._form.high + 1)]
        return np.array(ids)[:, 0] if all(len(each) == 1 for each in ids) else None

    def _is_exact(self) -> bool:
        """Try the table on whole questions that hold every kind of value."""
        start = head(self.task, self.wavelength, self.task.labels) + OPEN
        low, high = self._form.low, self._form.high
        if self._form.width:
            order = range(low, high + 1)
            fluxes = [self._form.text([*order, *reversed(order)])]
        else:
            probe = [value for value in _PROBE if low <= value <= high]
            fluxes = [self._form.text([first, *probe]) for first in _FIRST if low <= first <= high]
        return all(self._by_table(start, flux) == self._encode(start + flux + CLOSE) for flux in fluxes)

    # ------------------------------------------------------------ answers

    def answer(self, text: str) -> tuple[list[int], list[bool]]:
        """Ids of an answer, and which of them count in the loss: those of a missing value (``null``) do not."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = [at for at in range(len(text)) if text.startswith(NULL, at)] if NULL in text else []
        counts = [
            not any(start < at + len(NULL) and stop > at for at in spans) for start, stop in encoded["offset_mapping"]
        ]
        return encoded["input_ids"], counts
