"""Questions about a spectrum in their form (:mod:`starglot.forms`), written and read back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starglot.config.root import Wavelength
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.forms import FORMS, START, Form
from starglot.labels import LABELS

OPEN, CLOSE = "<flux>", "</flux>"

_PARTS = re.compile(re.escape(OPEN) + "(?P<flux>.*)" + re.escape(CLOSE), re.DOTALL)


def form_of(task: Task) -> Form:
    """The form in which a task asks."""
    return FORMS[task.question.form]


def head(task: Task, wavelength: Wavelength, labels: Sequence[str]) -> str:
    """The question up to and without ``<flux>``.

    task: whose form and labels; wavelength: the grid (A), whose range is written; labels: names of
    what is asked for, in order.
    """
    form = form_of(task)
    if not labels and not form.asks_class:
        raise StarglotError("a question asks for no label", where="question: labels", todo="name at least one label")
    if form.unit is None:
        return f"{form.request} "
    low, high = _angstrom(wavelength.start), _angstrom(wavelength.stop)
    request = form.request.replace("{labels}", form.names(labels))
    return f"{START}from {low} angstrom to {high}{form.unit}. {request} "


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
    form = form_of(task)
    start = form.pattern.match(text)
    parts = _PARTS.fullmatch(text, start.end()) if start else None
    if start and parts and form.unit is None:  # a question that lists nothing asks for everything
        return list(task.labels), parts["flux"]
    names = form.listed(start["labels"]) if start else []
    if form.asks_class and names[:1] != ["class"]:
        start = None
    if start is None or parts is None:
        raise StarglotError(
            f"this is not a question of the form '{task.question.form}'",
            where=repr(text[:160]),
            todo="rebuild the questions: snakemake qa",
        )
    named = {LABELS[label].spelling: label for label in task.labels}
    names = names[1:] if form.asks_class else names
    unknown = [name for name in names if name not in named]
    if unknown:
        raise StarglotError(
            f"the question names unknown labels: {unknown}",
            where=repr(text[:160]),
            allowed=sorted(named),
            todo="rebuild the questions: snakemake qa",
        )
    return [named[name] for name in names], parts["flux"]
