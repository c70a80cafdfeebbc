"""Answers in which every number is one token: a label's range in a thousand steps, '000' to '999'.

The text around the numbers is the paper's form.  A model tells a label by its distribution over the thousand tokens,
so value and uncertainty come from one step.
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

#: Numbers that a token can stand for.
NUMBERS = 1000
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

    ids: of an answer with '500' everywhere; slots: (labels,) places of the numbers; letter: place of the class's
    token, None where the form has none; letters: ids of the classes' tokens; numbers: (1000,) ids of '000' ... '999'.
    """

    def __init__(self, tokenizer: Any, task: Task, after: Sequence[int]):
        """after: ids behind the answer.  Raises StarglotError for a tokenizer in which numbers or classes are not one
        token each."""
        self._tokenizer, self.labels = tokenizer, list(task.labels)
        form = form_of(task)
        numbers = [self._encode(f"{number:03d}") for number in range(NUMBERS)]
        if any(len(ids) != 1 for ids in numbers):
            raise StarglotError(
                f"the tokenizer {type(tokenizer).__name__} takes numbers apart, digit by digit",
                where=getattr(tokenizer, "name_or_path", None) or None,
                allowed="a base whose tokenizer has a token for each of '000' to '999', as Llama 3's",
                todo="name such a base, or one of kind random, in models.<name>.base",
            )
        self.numbers = np.array(numbers)[:, 0]

        def written(letter: str, number: str) -> np.ndarray:
            if form.plain:
                fields = [f"{LABELS[label].spelling}: {number}" for label in self.labels]
                return np.array(self._encode(", ".join(fields)))
            if form.names_labels:
                fields = [f"{LABELS[label].spelling}:'{number}'" for label in self.labels]
                return np.array(self._encode("[" + ", ".join(fields) + "]"))
            fields = [f"'{letter}'"] if form.asks_class else []
            return np.array(self._encode("[ " + ", ".join([*fields, *[f"'{number}'"] * len(self.labels)]) + "]"))

        one, other = written(CLASSES[0], "500"), written(CLASSES[0], "317")
        self.slots = np.flatnonzero(one != other) if len(one) == len(other) else np.empty(0, int)
        lettered = [written(letter, "500") for letter in CLASSES]
        same = all(len(each) == len(one) for each in lettered)
        places = {int(at) for each in lettered for at in np.flatnonzero(each != one)} if same else {-1}
        wrong = len(self.slots) != len(self.labels) or not same or len(places) > 1
        if wrong or not (one[self.slots] == self.numbers[500]).all():
            raise StarglotError(
                f"the tokenizer {type(tokenizer).__name__} joins a number or a class with what stands around it",
                where=getattr(tokenizer, "name_or_path", None) or None,
                allowed="a base whose tokenizer keeps them apart, as Llama 3's",
                todo="name such a base, or one of kind random, in models.<name>.base",
            )
        self.letter = places.pop() if places else None
        self.letters = np.array([each[self.letter] for each in lettered]) if self.letter is not None else None
        self.ids = np.concatenate([one, np.asarray(after, dtype=one.dtype)])

    def __len__(self) -> int:
        return len(self.ids)

    def tokens(self, numbers: np.ndarray, code: np.ndarray) -> np.ndarray:
        """(n, length) ids of answers with ``numbers`` (n, labels), rounded and cut to 0 to 999, and classes (n,)."""
        out = np.repeat(self.ids[None], len(numbers), axis=0)
        out[:, self.slots] = self.numbers[np.rint(numbers).clip(0, NUMBERS - 1).astype(np.int64)]
        if self.letter is not None and self.letters is not None:
            out[:, self.letter] = self.letters[code]
        return out

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
