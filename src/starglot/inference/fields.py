"""Where the numbers of an answer stand in its text, and what shape they have."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starglot.config.models import Task
from starglot.glossary import LABELS
from starglot.inference.decode import NumberField
from starglot.language.answers import Answer, Digits, decimals
from starglot.language.prompts import question_of

_QUOTED = re.compile(r"'([^']*)'")
_NAMED = re.compile(r"([^\s:',\[]+)\s*:\s*'([^']*)'")
#: The form that number_text writes: only there do the branches of a digit tree continue what the model has learnt.
_SPACED = re.compile(r"(?: [-.0-9])+ ")


def number_fields(task: Task, labels: Sequence[str], answer: Answer, text: str, digits: Digits) -> list[NumberField]:
    """The well-formed numbers of an answer, one for each label of status 'ok' that is written in spaced form.

    labels: those of the question, in its order; answer: ``text`` as parsed; digits: of the encoding.
    """
    if question_of(task).names_labels:
        named = {LABELS[label].asked: label for label in labels}
        places = [(named.get(match[1], ""), match) for match in _NAMED.finditer(text)]
    else:  # by place, behind the class
        places = list(zip(labels, list(_QUOTED.finditer(text))[1:], strict=False))
    fields: dict[str, NumberField] = {}
    for label, match in places:
        content = match[match.lastindex or 0]
        if label in fields or answer.status.get(label) != "ok" or not _SPACED.fullmatch(content):
            continue
        fields[label] = NumberField(
            key=label,
            start=match.start(match.lastindex or 0),
            like=content.replace(" ", ""),
            decimals=decimals(task, label, digits),
            resolution=10.0 ** -task.decimals.get(label, LABELS[label].decimals),
            limits=(LABELS[label].low, LABELS[label].high),
        )
    return list(fields.values())
