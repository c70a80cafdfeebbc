"""The forms in which a spectrum is written as text: a number for each of its values, and how these stand together.

What the values are, integers in thousandths, is the business of :mod:`starglot.language.codec`; here they become
characters, and integers again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starglot.registry import Registry

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class FluxText:
    """A form of flux as text.

    write: the characters of a value, an integer number of thousandths; read: their value; number: matches them, and
    nothing else; separator: what stands between two values, '' where each has as many characters (``width``, of ASCII
    and at most three: all of them stand in one table); low, high: what values are clipped to before they are written;
    ends: whether the separator stands behind the last value, too.
    """

    write: Callable[[int], str]
    read: Callable[[str], int]
    number: re.Pattern[str]
    separator: str
    width: int | None = None
    low: int = _INT16.min
    high: int = _INT16.max
    ends: bool = False

    def text(self, values: ArrayLike) -> str:
        """(n,) integers as text."""
        row = np.asarray(values)
        if self.width is None:
            joined = self.separator.join(map(self.write, row.tolist()))
            return joined + self.separator if self.ends else joined
        written: bytes = self._table[row - self.low].tobytes()
        return written.decode("ascii")

    def values(self, text: str) -> NDArray[np.int16] | None:
        """The (n,) integers of a text; None for text of another form."""
        if self.width is None:
            if self.ends:
                if not text.endswith(self.separator):
                    return None
                text = text.removesuffix(self.separator)
            pieces = text.split(self.separator)
            if not all(map(self.number.fullmatch, pieces)):
                return None
            values = np.array([self.read(piece) for piece in pieces])
            fits = _INT16.min <= values.min() and values.max() <= _INT16.max
            return values.astype(np.int16) if fits else None
        if not text or len(text) % self.width or not text.isascii():
            return None
        found = self._known[self._keys(text.encode("ascii"))]
        return (found + self.low).astype(np.int16) if found.min() >= 0 else None

    @cached_property
    def _table(self) -> NDArray[np.bytes_]:
        """What each value from ``low`` to ``high`` is written as."""
        written = [self.write(value) for value in range(self.low, self.high + 1)]
        return np.array(written, dtype=f"S{self.width}")

    @cached_property
    def _known(self) -> NDArray[np.int32]:
        """Place in the table of every text of ``width`` ASCII characters, by its key; -1 for what is no value."""
        places = np.full(128 ** (self.width or 1), -1, np.int32)
        places[self._keys(self._table.tobytes())] = np.arange(len(self._table))
        return places

    def _keys(self, content: bytes) -> NDArray[np.int32]:
        """The characters of each value as one number."""
        characters = np.frombuffer(content, dtype=np.uint8).reshape(-1, self.width or 1).astype(np.int32)
        keys = characters[:, 0]
        for place in range(1, characters.shape[1]):
            keys = 128 * keys + characters[:, place]
        return keys


@lru_cache(maxsize=4096)
def thousandths_text(value: int) -> str:
    """An integer number of thousandths as the paper writes it: 303 is 0.303, 300 is 0.3, 1000 is 1, 0 is 0."""
    sign, size = ("-", -value) if value < 0 else ("", value)
    whole, part = divmod(size, 1000)
    return f"{sign}{whole}.{part:03d}".rstrip("0").rstrip(".") if part else f"{sign}{whole}"


@lru_cache(maxsize=4096)
def _thousandths(text: str) -> int:
    """The integer that :func:`thousandths_text` wrote."""
    return round(1000 * float(text))


def _three_digits(value: int) -> str:
    """303 is 303, 30 is 030."""
    return f"{value:03d}"


def _joined_digits(value: int) -> str:
    """456 is 4|5|6, -30 is -3|0."""
    return ("-" if value < 0 else "") + "|".join(str(abs(value)))


#: Forms of flux as text, by the name that `form` gives in an encoding of the configuration.
FLUX_TEXTS: Registry[FluxText] = Registry(
    {
        "paper": FluxText(thousandths_text, _thousandths, re.compile(r"-?[0-9]+(?:\.[0-9]{1,3})?"), separator=", "),
        "packed": FluxText(_three_digits, int, re.compile("[0-9]{3}"), separator="", width=3, low=0, high=999),
        # As the paper on redshifts has it; an encoding's own `digits` say more (language/digit_text.py).
        "digits": FluxText(
            _joined_digits,
            lambda text: int(text.replace("|", "")),
            re.compile(r"-?[0-9](?:\|[0-9])*"),
            separator=", ",
            ends=True,
        ),
    }
)
