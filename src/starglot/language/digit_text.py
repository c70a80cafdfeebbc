"""Flux as the digits of scaled values, in the paper's form and in llmtime's (:class:`starglot.config.digits.Digits`).

A value y is written as the digits of y base^precision, an integer: rounded (paper), or cut off digit after digit in
floating point (llmtime), so that 4.56 is 4 5 5 there.  Reading gives back the integer; the value is that, by
base^precision, and half a unit more for llmtime.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starglot.config.digits import Digits
from starglot.flux_text import FluxText

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def scaled(flux: ArrayLike, settings: Digits) -> tuple[Floats, Floats, Floats]:
    """(n, m) flux to values of about 0 to 1, with the offset and scale (n, 1) of each spectrum: x = y q + m."""
    x = np.asarray(flux, np.float64)
    offset, scale = np.zeros((len(x), 1)), np.ones((len(x), 1))
    if settings.scaler == "llmtime":
        low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
        offset = low - settings.beta * (high - low)
        scale = np.quantile(x - offset, settings.alpha, axis=1, keepdims=True)
        scale = np.where(scale == 0, 1.0, scale)
    elif settings.scaler == "basic":
        scale = np.maximum(np.quantile(np.abs(x), settings.alpha, axis=1, keepdims=True), 0.01)
    return (x - offset) / scale, offset, scale


def integers(values: ArrayLike, settings: Digits) -> Integers:
    """Values to the integers whose digits are written, with their sign."""
    y = np.asarray(values, np.float64)
    if not settings.signed:
        y = np.maximum(y, 0.0)
    unit = float(settings.base**settings.precision)
    if settings.style == "paper":
        return np.asarray(np.rint(y * unit), np.int64)
    return np.asarray(np.sign(y), np.int64) * _cut_off(np.abs(y), settings)


def _cut_off(size: Floats, settings: Digits) -> Integers:
    """llmtime's digits of sizes: the most significant first, each taken off what is left, in floating point."""
    base, largest = settings.base, float(size.max(initial=0.0))
    whole = max(int(np.ceil(np.log(largest + 1e-300) / np.log(base))) if largest > 0 else 0, 0) + 1
    rest, total = size.copy(), np.zeros(size.shape, np.int64)
    for power in range(whole, -settings.precision - 1, -1):
        digit = np.floor_divide(rest, float(base) ** power)  # not floor(rest / ...), which rounds the quotient first
        rest = rest - digit * float(base) ** power
        total = total * base + digit.astype(np.int64)
    return total


def values_of(numbers: ArrayLike, settings: Digits) -> Floats:
    """Integers to values: those that were written, to half a unit."""
    whole = np.asarray(numbers, np.float64)
    if settings.style == "llmtime":
        whole = whole + 0.5 * np.where(whole < 0, -1, 1)
    return whole / float(settings.base**settings.precision)


def number_text(number: int, settings: Digits, negative: bool | None = None) -> str:
    """One integer in digits, without what stands behind a value; negative: of a value that was cut off to 0."""
    size, below = abs(number), number < 0 if negative is None else negative
    digits = ""
    while size or not digits:
        size, digit = divmod(size, settings.base)
        digits = str(digit) + digits
    digits = digits.rjust(settings.fixed_length, "0")
    sign = settings.minus if below else settings.plus
    if settings.style == "llmtime":
        return sign + "".join(settings.bit_sep + digit for digit in digits)
    return sign + settings.bit_sep.join(digits)


def text_of(values: ArrayLike, settings: Digits) -> str:
    """(n,) values as they are written, one after the other."""
    y = np.asarray(values, np.float64)
    numbers = integers(y, settings)
    # llmtime keeps the sign of a value that is cut off to nothing: -0.0004 is '- 0'.
    below = (y < 0) & settings.signed if settings.style == "llmtime" else numbers < 0
    each = (number_text(int(n), settings, bool(b)) for n, b in zip(numbers, below, strict=True))
    return "".join(text + settings.time_sep for text in each)


def read_text(text: str, settings: Digits) -> Integers | None:
    """The (n,) integers of a text; None for text of another form."""
    if not text.endswith(settings.time_sep):
        return None
    found = [read_number(piece, settings) for piece in text[: -len(settings.time_sep)].split(settings.time_sep)]
    return None if any(number is None for number in found) else np.array(found, np.int64)


def read_number(text: str, settings: Digits) -> int | None:
    """The integer of a value's text; None for text of another form."""
    below = bool(settings.minus) and text.startswith(settings.minus)
    rest = text.removeprefix(settings.minus if below else settings.plus)
    if settings.style == "llmtime":
        if settings.bit_sep and not rest.startswith(settings.bit_sep):
            return None
        rest = rest.removeprefix(settings.bit_sep)
    digits = rest.split(settings.bit_sep) if settings.bit_sep else list(rest)
    allowed = "0123456789"[: settings.base]
    if not digits or any(len(digit) != 1 or digit not in allowed for digit in digits):
        return None
    size = int("".join(digits), settings.base)
    return -size if below else size


def digit_form(settings: Digits) -> FluxText:
    """The form that writes integers (of :func:`integers`) in digits."""
    bit, digit = re.escape(settings.bit_sep), f"[0-{settings.base - 1}]"
    run = f"(?:{bit}{digit})+" if settings.style == "llmtime" else f"{digit}(?:{bit}{digit})*"
    return FluxText(
        write=lambda value: number_text(value, settings),
        read=lambda text: read_number(text, settings) or 0,
        number=re.compile(f"(?:{re.escape(settings.minus)}|{re.escape(settings.plus)}){run}"),
        separator=settings.time_sep,
        low=np.iinfo(np.int16).min if settings.signed else 0,
        ends=True,
    )
