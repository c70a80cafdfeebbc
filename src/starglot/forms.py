"""The forms in which questions are put and answered: what each says, and what a task of it can do.

Paper: section 3.1, to the letter.  :mod:`starglot.language.prompts` writes and reads the questions,
:mod:`starglot.language.answers` the answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from starglot.labels import LABELS
from starglot.registry import Registry

#: How every question begins; the range of wavelengths follows.
START = r"Given the normalized flux data sorted by wavelength, "
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"


@dataclass(frozen=True)
class Form:
    """A form of question and of the answer to it.

    request: what the question says after the range, with ``{labels}`` for what it asks for, if it lists that;
    unit: what stands behind the range's upper end, None where the question has no range; separator, quote: how the
    labels are listed; asks_class: it asks for the spectral class first; names_labels: fields of the answer begin with
    their label, and stand in place otherwise; some_labels: a question in training may leave out labels that have no
    value; stage: of the paper's two, which one asks so; figures: diagnostic figures of its tasks, beside those of
    every task; beyond_atmosphere: its tasks are also scored by what they tell beyond the catalogue's Teff, log g and
    [Fe/H]; plain: the answer is no list of quoted, spaced numbers but ``Redshift: 0.315``.
    """

    request: str
    unit: str | None
    separator: str
    quote: str
    asks_class: bool
    names_labels: bool
    some_labels: bool
    stage: int | None = None
    figures: tuple[str, ...] = ()
    beyond_atmosphere: bool = False
    plain: bool = False

    def names(self, labels: Sequence[str]) -> str:
        """The labels, as the question lists them."""
        names = [*(["class"] if self.asks_class else []), *(LABELS[label].spelling for label in labels)]
        return self.separator.join(f"{self.quote}{name}{self.quote}" for name in names)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the question up to and without ``<flux>``; its group ``labels`` is what :meth:`names` wrote."""
        if self.unit is None:
            return re.compile(rf"{re.escape(self.request)} (?P<labels>)")
        before, after = map(re.escape, self.request.split("{labels}"))
        unit = re.escape(self.unit)
        return re.compile(
            rf"{START}from {_NUMBER} angstrom to {_NUMBER}{unit}\. {before}(?P<labels>[^.]*?){after} ", re.DOTALL
        )

    def listed(self, text: str) -> list[str]:
        """What the text of :meth:`names` lists, as it is spelt there."""
        return [name[len(self.quote) : len(name) - len(self.quote)] for name in text.split(self.separator)]


#: The paper's two.  Stage 1 leaves the unit out after the upper end of the range, stage 2 writes it.
FORMS: Registry[Form] = Registry(
    {
        "atmosphere": Form(
            request="Your task is to analyze this spectrum, and predict spectral type and physical parameters. "
            "Organize your answer in the order of [{labels}].",
            unit="",
            separator=", ",
            quote="'",
            asks_class=True,
            names_labels=False,
            some_labels=False,
            stage=1,
            figures=("confusion",),
        ),
        "abundances": Form(
            request="Your task is to analyze this spectrum, and predict physical parameters: {labels}.",
            unit=" angstrom",
            separator=" ",
            quote="",
            asks_class=False,
            names_labels=True,
            some_labels=True,
            stage=2,
            figures=("planes",),
            beyond_atmosphere=True,
        ),
        # "Teaching LLMs to Speak Spectroscopy", section 3.1, to the letter.
        "redshift": Form(
            request="Galaxy spectrum is rescaled and encoded to an input series:",
            unit=None,
            separator=", ",
            quote="",
            asks_class=False,
            names_labels=True,
            some_labels=False,
            plain=True,
        ),
    }
)
