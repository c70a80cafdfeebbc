"""Answers in the paper's spaced form (section 3.1), rendered and parsed.

``[ 'M', ' 3 7 9 4 ', ' 4 . 6 3 ', ' - 0 . 0 3 ']`` and ``[C_FE:' 0 . 1 5 ', CI_FE:' 0 . 1 4 ']``.
Every character of a number has spaces around it, so that each digit is a token of its own.
A form that is plain writes ``Redshift: 0.315``, several labels between commas.
A missing value is written ``null`` and does not count in the loss.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.labels import CLASSES, LABELS
from starglot.language.prompts import form_of

Digits = Literal["rounded", "float32"]

NULL = "null"

#: Every float32 can be told from its neighbours with this many significant digits.
_FLOAT32_DIGITS = 9
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_QUOTED = re.compile(r"\s*'(?P<content>[^']*)'\s*")
_PLAIN_FIELD = re.compile(r"\s*(?P<name>[^\s:,]+)\s*:\s*(?P<content>[^\s,]+)\s*")
_NAMED_FIELD = re.compile(r"\s*(?P<name>[^\s:']+?)\s*:\s*'(?P<content>[^']*)'\s*")


@dataclass(frozen=True)
class Answer:
    """What an answer says.

    class_letter: a spectral class, or None; values: the number of each label asked for, None
    unless its status is 'ok'; status: one of statuses.STATUSES by label; problem: the first thing that is
    wrong with the text, None for a faultless answer; places: by label, (start, end) of what stands between the quotes
    of its field, for the fields that the text has.
    """

    class_letter: str | None
    values: dict[str, float | None]
    status: dict[str, str]
    problem: str | None
    places: dict[str, tuple[int, int]]


def decimals(task: Task, label: str, digits: Digits) -> int | None:
    """Digits written after the point: the task's, else the label's own; None for the paper's float32 digits."""
    return None if digits == "float32" else task.question.decimals.get(label, LABELS[label].decimals)


def number_text(value: float, decimals: int | None) -> str:
    """A number in spaced form, ``' 4 8 2 8 '``, quotes not included.

    With ``decimals`` the number of digits after the point is fixed (2.5 is ``2 . 5 0``): a digit then means the
    same at the same place of every answer, which is what a digit tree reads and what a model learns fastest.
    With None the value has its own digits where they are few, and else the shortest text that gives back its float32,
    as the paper's ``0.15139999``, which catalogues of float32 columns turn into.
    There is no exponent and no minus zero.  Raises StarglotError for a value that is not finite.
    """
    if not math.isfinite(value):
        raise StarglotError(
            f"a label has the value {value}",
            allowed="finite numbers, null where missing",
            todo="correct the label in its catalogue",
        )
    if decimals is None:
        plain = np.format_float_positional(value, unique=True, trim="0")
        if len(plain.strip("-0").replace(".", "").strip("0")) > _FLOAT32_DIGITS:  # a float32 that was widened
            plain = np.format_float_positional(np.float32(value), unique=True, trim="0")
    else:
        plain = f"{value:.{decimals}f}"
    if plain.startswith("-") and not plain.strip("-0."):
        plain = plain[1:]
    return f" {' '.join(plain)} "


def render(
    task: Task,
    class_letter: str | None,
    values: Mapping[str, float | None],
    labels: Sequence[str],
    digits: Digits,
) -> str:
    """The answer to a question for ``labels``, in their order; a label that is None or absent is ``null``."""
    form = form_of(task)
    if form.plain:
        return ", ".join(
            f"{LABELS[label].spelling}: {_plain(task, label, values.get(label), digits)}" for label in labels
        )
    fields = []
    for label in labels:
        value = values.get(label)
        text = f" {NULL} " if value is None else number_text(value, decimals(task, label, digits))
        fields.append(f"'{text}'")
    if form.names_labels:
        return (
            "["
            + ", ".join(f"{LABELS[label].spelling}:{text}" for label, text in zip(labels, fields, strict=True))
            + "]"
        )
    first = [f"'{class_letter or NULL}'"] if form.asks_class else []
    return "[ " + ", ".join([*first, *fields]) + "]"


def _plain(task: Task, label: str, value: float | None, digits: Digits) -> str:
    """A number as it stands in a plain answer."""
    return NULL if value is None else number_text(value, decimals(task, label, digits)).replace(" ", "")


def parse(task: Task, labels: Sequence[str], text: str) -> Answer:
    """Read an answer to a question for ``labels``: the inverse of :func:`render` for any text.

    Never raises.  Fields that come before a fault count; spaces and line breaks between and inside fields are
    free.  Statuses: 'ok'; 'unparsable' (the field, or the text where it should stand, is malformed);
    'not_answered' (``null``, left out, or the text ends before it); 'out_of_range' (beyond the label's limits).
    """
    reader, form = _Reader(list(labels)), form_of(task)
    if form.plain:
        _read_plain(reader, text)
    elif form.names_labels:
        _read_named(reader, text)
    else:
        _read_list(reader, text, classes=int(form.asks_class))
    return Answer(reader.letter, reader.values, reader.status, reader.problem, reader.places)


@dataclass
class _Reader:
    """What has been read so far."""

    labels: list[str]
    letter: str | None = None
    values: dict[str, float | None] = field(init=False)
    status: dict[str, str] = field(init=False)
    problem: str | None = None
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = dict.fromkeys(self.labels)
        self.status = dict.fromkeys(self.labels, "not_answered")

    def fault(self, problem: str) -> None:
        self.problem = self.problem or problem

    def broken(self, problem: str, rest: Sequence[str]) -> None:
        """The text cannot be followed: the labels still to come are unparsable."""
        self.fault(problem)
        for label in rest:
            self.status[label] = "unparsable"

    def number(self, label: str, match: re.Match[str]) -> None:
        """Take a field's content as the value of ``label``."""
        content = match["content"]
        self.places[label] = match.span("content")
        plain = "".join(content.split())
        spelling = LABELS[label].spelling
        if plain == NULL:
            return
        if not _NUMBER.fullmatch(plain):
            self.broken(f"{spelling}: {content!r} is not a number", [label])
            return
        value, known = float(plain), LABELS[label]
        if not known.low <= value <= known.high:
            self.status[label] = "out_of_range"
            self.fault(f"{spelling}: {plain} is outside {known.low:g} to {known.high:g} {known.unit}")
            return
        self.status[label] = "ok"
        self.values[label] = value + 0.0  # "- 0 . 0" reads as plain zero

    def letter_field(self, content: str) -> None:
        letter = content.strip()
        if letter in CLASSES:
            self.letter = letter
        elif letter != NULL:
            self.fault(f"class: {content!r} is not one of {' '.join(CLASSES)}")


def _here(text: str, at: int) -> str:
    """Where and what, for a problem's text."""
    return f"at character {at}: {text[at : at + 20]!r}" if at < len(text) else "at the end of the text"


def _open(reader: _Reader, text: str) -> int | None:
    """Position after the opening bracket, or None after noting why there is none."""
    at = len(text) - len(text.lstrip())
    if text[at : at + 1] == "[":
        return at + 1
    if at == len(text):
        reader.fault("the answer is empty")
    else:
        reader.broken(f"no '[' {_here(text, at)}", reader.labels)
    return None


def _next(reader: _Reader, text: str, at: int, rest: Sequence[str]) -> int | None:
    """Position after the comma behind a field, or None when the list ends there, well or badly."""
    mark = text[at : at + 1]
    if mark == ",":
        return at + 1
    if mark == "]":
        if text[at + 1 :].strip():
            reader.fault(f"text after the closing bracket {_here(text, at + 1)}")
    elif mark:
        reader.broken(f"neither ',' nor ']' {_here(text, at)}", rest)
    else:
        reader.fault("the answer ends without ']'")
    return None


def _read_list(reader: _Reader, text: str, classes: int) -> None:
    """``[ 'K', ' 4 8 2 8 ', ...]``: fields by position; ``classes``: how many of the first are classes (0 or 1)."""
    at = _open(reader, text)
    if at is None:
        return
    labels = reader.labels
    seen = 0  # fields read
    while at is not None:
        rest = labels[max(seen - classes, 0) :]
        match = _QUOTED.match(text, at)
        if match is None:
            if text[at:].strip():
                reader.broken(f"no quoted field {_here(text, at)}", rest)
            else:
                reader.fault("the answer ends without ']'")
            return
        if seen < classes:
            reader.letter_field(match["content"])
        elif seen < len(labels) + classes:
            reader.number(labels[seen - classes], match)
        else:
            reader.fault(f"more fields than the {len(labels) + classes} asked for {_here(text, at)}")
        seen += 1
        at = _next(reader, text, match.end(), labels[max(seen - classes, 0) :])
    if seen < len(labels) + classes:
        reader.fault(f"{LABELS[labels[max(seen - classes, 0)]].spelling} is not answered")


def _read_plain(reader: _Reader, text: str) -> None:
    """``Redshift: 0.315``: fields by name, in any order; what follows the last one is a fault."""
    missing, named, at = list(reader.labels), {LABELS[label].spelling: label for label in reader.labels}, 0
    while at < len(text):
        match = _PLAIN_FIELD.match(text, at)
        if match is None:
            reader.broken(f"no NAME: value {_here(text, at)}", missing)
            return
        label = named.get(match["name"])
        if label in missing:
            missing.remove(label)
            reader.number(label, match)
        else:
            reader.fault(f"{match['name']} {'was not asked for' if label is None else 'is answered twice'}")
        at = match.end()
        if text[at : at + 1] == ",":
            at += 1
        elif at < len(text):
            reader.fault(f"text after the answer {_here(text, at)}")
            break
    if missing:
        reader.fault(f"{LABELS[missing[0]].spelling} is not answered")


def _read_named(reader: _Reader, text: str) -> None:
    """``[C_FE:' 0 . 1 5 ', ...]``: fields by name, in any order."""
    at = _open(reader, text)
    if at is None:
        return
    missing, named = list(reader.labels), {LABELS[label].spelling: label for label in reader.labels}
    while at is not None:
        match = _NAMED_FIELD.match(text, at)
        if match is None:
            if text[at:].strip():
                reader.broken(f"no NAME:'value' field {_here(text, at)}", missing)
            else:
                reader.fault("the answer ends without ']'")
            return
        label = named.get(match["name"])
        if label in missing:
            missing.remove(label)
            reader.number(label, match)
        elif label is not None:
            reader.fault(f"{match['name']} is answered twice")
        else:
            reader.fault(f"{match['name']} was not asked for")
        at = _next(reader, text, match.end(), missing)
    if missing:
        reader.fault(f"{LABELS[missing[0]].spelling} is not answered")
