"""Positions of the numbers in an answer's text, and their values from text and distribution together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starglot.config.tasks import Task
from starglot.inference.decode import NumberField
from starglot.inference.digits import Distribution
from starglot.labels import LABELS
from starglot.language.answers import Answer, Digits, decimals

#: The form that number_text writes: only there do the branches of a digit tree continue what the model has learnt.
_SPACED = re.compile(r"(?: [-.0-9])+ ")

#: Where the greedy text is no value, the mean of the distribution is one if at least so much of the probability is
#: that of numbers within the label's limits.  Below, the model is writing something else.
LEAST_MASS = 0.1


def number_fields(task: Task, labels: Sequence[str], answer: Answer, text: str, digits: Digits) -> list[NumberField]:
    """The fields of an answer to look into: where a number was written in spaced form, or something unreadable.

    labels: those of the question, in its order; answer: ``text`` as parsed; digits: of the encoding.
    ``null`` is an answer, and a readable number in another form than the spaced one stands as it is written: neither
    has a field, and none has a label whose field cannot be found in the text.
    """
    fields = []
    for label in labels:
        if label not in answer.places or answer.status[label] == "not_answered":
            continue
        start, end = answer.places[label]
        spaced = _SPACED.fullmatch(text[start:end]) is not None
        if answer.status[label] == "ok" and not spaced:
            continue
        number = spaced and answer.status[label] != "unparsable"
        fields.append(
            NumberField(
                key=label,
                start=start,
                like=text[start:end].replace(" ", "") if number else None,
                decimals=decimals(task, label, digits),
                resolution=10.0 ** -task.question.decimals.get(label, LABELS[label].decimals),
                limits=(LABELS[label].low, LABELS[label].high),
            )
        )
    return fields


def reading(
    answer: Answer, label: str, number: Distribution | None, expected: bool
) -> tuple[float | None, float | None, str]:
    """(value, sigma, status) of a label.

    number: the distribution of its digits, where there is one; expected: take its mean as the value, not the greedy
    number.

    The greedy text decides, with two exceptions.  With ``expected`` the mean stands in for the greedy number.  It
    also does where the greedy text is 'out_of_range' or 'unparsable', if LEAST_MASS of the probability is that of
    numbers within the label's limits: the likeliest first digit may lead out of them while most numbers are inside.
    Value and sigma are null for every other status than 'ok'; sigma alone is where a readable number has no
    distribution.  The mean is that of numbers within the limits, and so within them itself.
    """
    status = answer.status.get(label, "not_answered")
    sigma = None if number is None else number.sigma
    if status == "ok":
        return (number.mean if expected and number is not None else answer.values[label]), sigma, status
    rescued = status in ("out_of_range", "unparsable") and number is not None and number.mass >= LEAST_MASS
    if expected and rescued and number is not None:
        return number.mean, sigma, "ok"
    return None, None, status
