"""The paper's two questions, to the letter (section 3.1), written and read back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from starglot.config.models import Task, Wavelength
from starglot.errors import StarglotError
from starglot.labels import LABELS
from starglot.registry import Registry

OPEN, CLOSE = "<flux>", "</flux>"

_PARTS = re.compile(re.escape(OPEN) + "(?P<flux>.*)" + re.escape(CLOSE), re.DOTALL)
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_START = r"Given the normalized flux data sorted by wavelength, "


@dataclass(frozen=True)
class Question:
    """A form of question and of the answer to it.

    task: what the question says after the range, with ``{labels}`` for what is asked; unit: what stands behind the
    range's upper end; separator, quote: how the labels are listed; asks_class: the class is asked for first;
    names_labels: fields of the answer begin with their label, and stand in place otherwise; some_labels: a question
    in training may leave out labels that have no value.
    """

    task: str
    unit: str
    separator: str
    quote: str
    asks_class: bool
    names_labels: bool
    some_labels: bool

    def names(self, labels: Sequence[str]) -> str:
        """What is asked for, as the question lists it."""
        asked = [*(["class"] if self.asks_class else []), *(LABELS[label].asked for label in labels)]
        return self.separator.join(f"{self.quote}{name}{self.quote}" for name in asked)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the question up to and without ``<flux>``; its group ``labels`` is what :meth:`names` wrote."""
        before, after = map(re.escape, self.task.split("{labels}"))
        unit = re.escape(self.unit)
        return re.compile(
            rf"{_START}from {_NUMBER} angstrom to {_NUMBER}{unit}\. {before}(?P<labels>[^.]*?){after} ", re.DOTALL
        )

    def listed(self, text: str) -> list[str]:
        """What the text of :meth:`names` lists, as it is spelt there."""
        return [name[len(self.quote) : len(name) - len(self.quote)] for name in text.split(self.separator)]


#: The paper's two questions.  Stage 1 leaves the unit out after the upper end of the range, stage 2 writes it.
QUESTIONS: Registry[Question] = Registry(
    {
        "atmosphere": Question(
            task="Your task is to analyze this spectrum, and predict spectral type and physical parameters. Organize "
            "your answer in the order of [{labels}].",
            unit="",
            separator=", ",
            quote="'",
            asks_class=True,
            names_labels=False,
            some_labels=False,
        ),
        "abundances": Question(
            task="Your task is to analyze this spectrum, and predict physical parameters: {labels}.",
            unit=" angstrom",
            separator=" ",
            quote="",
            asks_class=False,
            names_labels=True,
            some_labels=True,
        ),
    }
)


def question_of(task: Task) -> Question:
    """The form in which a task asks."""
    return QUESTIONS[task.prompt]


def head(task: Task, wavelength: Wavelength, labels: Sequence[str]) -> str:
    """The question up to and without ``<flux>``.

    task: which of the questions; wavelength: the grid (A), whose range is written; labels: names of
    what is asked for, in order.
    """
    form = question_of(task)
    if not labels and not form.asks_class:
        raise StarglotError("a question asks for no label", todo="name at least one label")
    low, high = _angstrom(wavelength.start), _angstrom(wavelength.stop)
    asked = form.task.replace("{labels}", form.names(labels))
    return f"{_START}from {low} angstrom to {high}{form.unit}. {asked} "


def _angstrom(value: float) -> str:
    """3800.0 as 3800, 3800.5 as it is."""
    return f"{value:.0f}" if value.is_integer() else repr(value)


def question(task: Task, wavelength: Wavelength, labels: Sequence[str], flux_text: str) -> str:
    """The whole question: :func:`head` and the encoded flux between ``<flux>`` and ``</flux>``."""
    return f"{head(task, wavelength, labels)}{OPEN}{flux_text}{CLOSE}"


def parse_question(task: Task, text: str) -> tuple[list[str], str]:
    """Labels (names, in order) and flux text of a question; the inverse of :func:`question`.

    Raises StarglotError when the text is not this task's question or names an unknown label.
    """
    form = question_of(task)
    start = form.pattern.match(text)
    parts = _PARTS.fullmatch(text, start.end()) if start else None
    asked = form.listed(start["labels"]) if start else []
    if form.asks_class and asked[:1] != ["class"]:
        start = None
    if start is None or parts is None:
        raise StarglotError(
            f"this is not a question of a task with the prompt '{task.prompt}'",
            where=repr(text[:160]),
            todo="rebuild the questions: snakemake qa",
        )
    named = {LABELS[label].asked: label for label in task.labels}
    asked = asked[1:] if form.asks_class else asked
    unknown = [name for name in asked if name not in named]
    if unknown:
        raise StarglotError(f"the question names unknown labels: {unknown}", allowed=sorted(named))
    return [named[name] for name in asked], parts["flux"]
