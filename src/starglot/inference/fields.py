"""Positions of the numbers in an answer's text, and their values from text and distribution together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starglot.config.tasks import Task
from starglot.inference.decode import NumberField
from starglot.inference.digits import Distribution
from starglot.labels import LABELS
from starglot.language.answers import Answer, Digits, decimals
from starglot.language.prompts import form_of

#: The form that number_text writes: only there do the branches of a digit tree continue what the model has learnt.
_SPACED = re.compile(r"(?: [-.0-9])+ ")
#: A number in a plain answer; its decimals are what is looked into.
_PLAIN = re.compile(r"(?P<begins>-?[0-9]+\.)[0-9]+")
#: Most decimals of a plain number that are looked into: a token of Llama 3's holds so many digits.
MOST_DECIMALS = 3

#: Where the greedy text is no value, the mean of the distribution is one if at least so much of the probability is
#: that of numbers within the label's limits.  Below, the model is writing something else.
LEAST_MASS = 0.1


def number_fields(task: Task, labels: Sequence[str], answer: Answer, text: str, digits: Digits) -> list[NumberField]:
    """The fields of an answer to look into: where a number was written in spaced form, or something unreadable.

    labels: those of the question, in its order; answer: ``text`` as parsed; digits: of the encoding.
    Of a plain number the decimals alone are looked into, behind the whole part as it is answered.
    ``null`` is an answer, and a readable number in another form than the spaced one stands as it is written: neither
    has a field, and none has a label whose field cannot be found in the text.
    """
    fields = []
    for label in labels:
        if label not in answer.places or answer.status[label] == "not_answered":
            continue
        start, end = answer.places[label]
        if form_of(task).plain:
            fields += _plain_field(task, label, text[start:end], start) if answer.status[label] == "ok" else []
            continue
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


def plain_decimals(task: Task, digits: Digits) -> int | None:
    """Decimals of the numbers of a plain form that are looked into; None where it has none, or labels differ."""
    found = {decimals(task, label, digits) for label in task.labels}
    one = found.pop() if len(found) == 1 else None
    return min(one, MOST_DECIMALS) if one else None


def _plain_field(task: Task, label: str, content: str, start: int) -> list[NumberField]:
    places, number = plain_decimals(task, "rounded"), _PLAIN.fullmatch(content)
    if places is None or number is None:
        return []
    begins, known = number["begins"], LABELS[label]
    return [
        NumberField(
            key=label,
            start=start + len(begins),
            like=content,
            decimals=places,
            resolution=10.0**-places,
            limits=(known.low, known.high),
            begins=begins,
        )
    ]


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
