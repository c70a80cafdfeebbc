"""Answers in which a label's range is cut into a thousand steps, '000' to '999'.

The text around the numbers is the paper's form.  Where the tokenizer has a token for each number, as Llama 3's, a
model tells a label by its distribution over the thousand tokens, in one step; where it keeps digits apart, as
SmolLM2's, in three steps, a digit each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.labels import CLASSES, LABELS
from starglot.language.prompts import form_of

#: Numbers that an answer can give for a label.
NUMBERS = 1000
#: Digits of a number.
_DIGITS = 3
#: A label's range is that of the training spectra, wider at either end by this part of it.
_MARGIN = 0.05
#: Where a catalogue has no errors: part of the scatter that is taken for one.  And the least error, in steps.
_NO_ERROR, _LEAST_STEPS = 0.1, 1.0


@dataclass(frozen=True)
class NumberScale:
    """A label's numbers: '000' is ``low`` and '999' is ``high``; error: typical of the catalogue; middle: the mean of
    the training spectra, which is fed where a value is unknown.  All in the label's unit."""

    low: float
    high: float
    error: float
    middle: float

    @property
    def step(self) -> float:
        """Distance of neighbouring numbers, in the label's unit."""
        return (self.high - self.low) / (NUMBERS - 1)


def number_scales(labels: Sequence[str], truth: np.ndarray, errors: np.ndarray) -> dict[str, NumberScale]:
    """Scales of the ``labels`` from training truth and errors, (n, labels), NaN where missing.

    A label that no training spectrum has gets its whole range.
    """
    scales = {}
    for j, name in enumerate(labels):
        label = LABELS[name]
        known = truth[np.isfinite(truth[:, j]), j]
        given = errors[np.isfinite(errors[:, j]) & (errors[:, j] > 0), j]
        if not len(known):
            scales[name] = NumberScale(
                label.low, label.high, (label.high - label.low) / 20, (label.low + label.high) / 2
            )
            continue
        wider = _MARGIN * max(float(np.ptp(known)), 10.0**-label.decimals)
        low, high = max(label.low, float(known.min()) - wider), min(label.high, float(known.max()) + wider)
        error = float(np.median(given)) if len(given) else _NO_ERROR * float(known.std())
        error = max(error, _LEAST_STEPS * (high - low) / (NUMBERS - 1))
        scales[name] = NumberScale(low, high, error, float(known.mean()))
    return scales


def scales_as_data(scales: Mapping[str, NumberScale]) -> dict[str, dict[str, float]]:
    """JSON-able, for a manifest."""
    return {name: asdict(scale) for name, scale in scales.items()}


def scales_from_data(data: Mapping[str, Mapping[str, float]]) -> dict[str, NumberScale]:
    """The inverse of :func:`scales_as_data`."""
    return {name: NumberScale(**scale) for name, scale in data.items()}


class AnswerTokens:
    """An answer of one form in a tokenizer's ids: (length,) of which some places are numbers and one may be a class.

    ids: of an answer with '500' everywhere; slots: (labels, 1 or 3) places of the numbers; letter: place of the
    class's token, None where the form has none; letters: ids of the classes' tokens, none without it; numbers: ids of
    '000' ... '999', (1000,), or of '0' ... '9', (10,), where a number is three tokens.
    """

    def __init__(self, tokenizer: Any, task: Task, after: Sequence[int]):
        """after: ids behind the answer.  Raises StarglotError for a tokenizer in which neither numbers nor digits are
        one token each, or classes are not."""
        self._tokenizer, self.labels, self._form = tokenizer, list(task.labels), form_of(task)
        whole = [self._encode(f"{number:03d}") for number in range(NUMBERS)]
        if all(len(ids) == 1 for ids in whole):
            self.numbers = np.array(whole)[:, 0]
            self.slots = self._slots("500", "317", 1)
        else:
            self.slots = self._slots("000", "111", _DIGITS)
            alike = [self._written(f"{digit}" * _DIGITS) for digit in range(10)]
            if any(len(ids) != len(alike[0]) for ids in alike):
                raise self._unfit()
            self.numbers = np.array([ids[self.slots[0, 0]] for ids in alike])
        one = self._written("500")
        lettered = [self._written("500", letter) for letter in CLASSES]
        same = all(len(each) == len(one) for each in lettered)
        places = {int(at) for each in lettered for at in np.flatnonzero(each != one)} if same else {-1}
        if not same or len(places) > 1:
            raise self._unfit()
        self.letter = places.pop() if places else None
        self.letters = np.array([] if self.letter is None else [each[self.letter] for each in lettered], np.int64)
        self.ids = np.concatenate([one, np.asarray(after, dtype=one.dtype)])
        for number in (0, 317, 500, 942):  # written by token and as text
            made = self.tokens(np.full((1, len(self.labels)), float(number)), np.zeros(1, int))[0]
            text = self._written(f"{number:03d}")
            if len(text) != len(one) or (made[: len(one)] != text).any():
                raise self._unfit()

    def __len__(self) -> int:
        return len(self.ids)

    def tokens(self, numbers: np.ndarray, code: np.ndarray) -> np.ndarray:
        """(n, length) ids of answers with ``numbers`` (n, labels), rounded and cut to 0 to 999, and classes (n,)."""
        out = np.repeat(self.ids[None], len(numbers), axis=0)
        out[:, self.slots] = self.numbers[self.parts(numbers)]
        if self.letter is not None:
            out[:, self.letter] = self.letters[code]
        return out

    def parts(self, numbers: np.ndarray) -> np.ndarray:
        """What stands in the slots of ``numbers`` (n, labels): (n, labels, 1 or 3) the numbers, or their digits."""
        rounded: np.ndarray = np.rint(numbers).clip(0, NUMBERS - 1).astype(np.int64)[..., None]
        if len(self.numbers) == NUMBERS:
            return rounded
        digits: np.ndarray = rounded // 10 ** np.arange(_DIGITS - 1, -1, -1) % 10
        return digits

    def _slots(self, one: str, other: str, each: int) -> np.ndarray:
        """(labels, each) places in which answers with ``one`` and with the ``other`` number differ."""
        first, second = self._written(one), self._written(other)
        found = np.flatnonzero(first != second) if len(first) == len(second) else np.empty(0, int)
        if len(found) != each * len(self.labels):
            raise self._unfit()
        return found.reshape(-1, each)

    def _unfit(self) -> StarglotError:
        return StarglotError(
            f"the tokenizer {type(self._tokenizer).__name__} joins a number, a digit or a class with what stands "
            "around it",
            where=getattr(self._tokenizer, "name_or_path", None) or None,
            allowed="a base whose tokenizer has a token for each of '000' to '999', as Llama 3's, or takes all "
            "numbers apart digit by digit, as SmolLM2's",
            todo="name such a base, or one of kind random, in models.<name>.base",
        )

    def _written(self, number: str, letter: str = CLASSES[0]) -> np.ndarray:
        """Ids of an answer with the same number everywhere."""
        if self._form.plain:
            return np.array(self._encode(", ".join(f"{LABELS[label].spelling}: {number}" for label in self.labels)))
        if self._form.names_labels:
            fields = [f"{LABELS[label].spelling}:'{number}'" for label in self.labels]
            return np.array(self._encode("[" + ", ".join(fields) + "]"))
        fields = [f"'{letter}'"] if self._form.asks_class else []
        return np.array(self._encode("[ " + ", ".join([*fields, *[f"'{number}'"] * len(self.labels)]) + "]"))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
