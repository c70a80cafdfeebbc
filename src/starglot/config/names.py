"""Names of variants of a model: 'ridge.s1' is 'ridge' with seed 1, and needs no entry in the configuration.

A variant's name is a configured model's with up to three endings, in this order: ``.s1`` (seed 1), ``.f3`` (fold 3 is
left out of the training and is what the model is tried on), ``.x2`` (twice the configured passes over the spectra).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A whole number without leading zeros, and a positive number of at most three decimals without zeros at its ends:
#: a model has one name.
_WHOLE = r"(?:0|[1-9][0-9]*)"
_FACTOR = r"(?:0\.[0-9]{0,2}[1-9]|[1-9][0-9]{0,5}(?:\.[0-9]{0,2}[1-9])?)"

#: Pattern of the endings, which may be empty; has no groups, so that it can stand in a wildcard.
SUFFIX = rf"(?:\.s{_WHOLE})?(?:\.f{_WHOLE})?(?:\.x{_FACTOR})?"

_NAME = re.compile(rf"(.+?)(?:\.s({_WHOLE}))?(?:\.f({_WHOLE}))?(?:\.x({_FACTOR}))?")


@dataclass(frozen=True)
class Variant:
    """What a model's name says: the configured model, and what differs from it (None: as configured)."""

    model: str
    seed: int | None = None
    fold: int | None = None
    passes: float | None = None

    @property
    def name(self) -> str:
        """The name that says this."""
        seed = "" if self.seed is None else f".s{self.seed}"
        fold = "" if self.fold is None else f".f{self.fold}"
        passes = "" if self.passes is None else f".x{self.passes:.12g}"
        return f"{self.model}{seed}{fold}{passes}"

    @property
    def is_variant(self) -> bool:
        """Whether the name has an ending."""
        return self.name != self.model


def read_name(name: str) -> Variant:
    """What ``name`` says; a name without endings says that nothing differs."""
    found = _NAME.fullmatch(name)
    if not found:
        return Variant(name)
    model, seed, fold, passes = found.groups()
    return Variant(
        model,
        None if seed is None else int(seed),
        None if fold is None else int(fold),
        None if passes is None else float(passes),
    )
