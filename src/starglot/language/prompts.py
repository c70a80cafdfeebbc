"""The paper's two questions, to the letter (section 3.1), written and read back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starglot.config.models import Task, Wavelength
from starglot.errors import StarglotError
from starglot.glossary import LABELS

OPEN, CLOSE = "<flux>", "</flux>"

#: How questions and answers spell a label, and back.
ASKED: dict[str, str] = {name: label.asked for name, label in LABELS.items()}
NAMED: dict[str, str] = {asked: name for name, asked in ASKED.items()}

_PARTS = re.compile(re.escape(OPEN) + "(?P<flux>.*)" + re.escape(CLOSE), re.DOTALL)
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_HEADS = {
    # Stage 1 leaves the unit out after the upper end of the range, stage 2 writes it: so does the paper.
    "atmosphere": re.compile(
        r"Given the normalized flux data sorted by wavelength, "
        rf"from {_NUMBER} angstrom to {_NUMBER}\. Your task is to analyze this spectrum, and predict spectral type "
        r"and physical parameters\. Organize your answer in the order of \['class'(?P<labels>(?:, '[^']+')*)\]\. "
    ),
    "abundances": re.compile(
        r"Given the normalized flux data sorted by wavelength, "
        rf"from {_NUMBER} angstrom to {_NUMBER} angstrom\. Your task is to analyze this spectrum, and predict "
        r"physical parameters: (?P<labels>[^ .]+(?: [^ .]+)*)\. "
    ),
}


def head(task: Task, wavelength: Wavelength, labels: Sequence[str]) -> str:
    """The question up to and without ``<flux>``.

    task: which of the two questions; wavelength: the grid (A), whose range is written; labels: glossary names of
    what is asked for, in order.
    """
    low, high = _angstrom(wavelength.start), _angstrom(wavelength.stop)
    start = f"Given the normalized flux data sorted by wavelength, from {low} angstrom to {high}"
    if task.prompt == "atmosphere":
        names = ", ".join(f"'{name}'" for name in ("class", *(ASKED[label] for label in labels)))
        return (
            f"{start}. Your task is to analyze this spectrum, and predict spectral type "
            f"and physical parameters. Organize your answer in the order of [{names}]. "
        )
    if not labels:
        raise StarglotError("a question asks for no label", todo="name at least one label")
    names = " ".join(ASKED[label] for label in labels)
    return f"{start} angstrom. Your task is to analyze this spectrum, and predict physical parameters: {names}. "


def _angstrom(value: float) -> str:
    """3800.0 as 3800, 3800.5 as it is."""
    return f"{value:.0f}" if value.is_integer() else repr(value)


def question(task: Task, wavelength: Wavelength, labels: Sequence[str], flux_text: str) -> str:
    """The whole question: :func:`head` and the encoded flux between ``<flux>`` and ``</flux>``."""
    return f"{head(task, wavelength, labels)}{OPEN}{flux_text}{CLOSE}"


def parse_question(task: Task, text: str) -> tuple[list[str], str]:
    """Labels (glossary names, in order) and flux text of a question; the inverse of :func:`question`.

    Raises StarglotError when the text is not this task's question or names an unknown label.
    """
    start = _HEADS[task.prompt].match(text)
    parts = _PARTS.fullmatch(text, start.end()) if start else None
    if start is None or parts is None:
        raise StarglotError(
            f"this is not a question of a task with the prompt '{task.prompt}'",
            where=repr(text[:160]),
            todo="rebuild the questions: snakemake qa",
        )
    asked = re.findall(r"'([^']+)'", start["labels"]) if task.prompt == "atmosphere" else start["labels"].split(" ")
    unknown = [name for name in asked if name not in NAMED]
    if unknown:
        raise StarglotError(f"the question names unknown labels: {unknown}", allowed=sorted(NAMED))
    return [NAMED[name] for name in asked], parts["flux"]
