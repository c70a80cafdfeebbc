"""Questions that a spectrum answers by itself: what the tiny base learns before it sees any label.

Each question asks for a few hidden quantities of the flux in the prompt (how much there is of a principal component,
how deep a window lies below its neighbours) and wants them as if they were a star's labels, in the real answer's
form.  Answering needs what the real task needs: compare places of the spectrum, add up many of them, write a number
digit by digit.  No label is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

from starglot.config.bases.tiny import LanguageBase
from starglot.config.strict import Augment
from starglot.config.tasks import form_task
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES
from starglot.language.answers import render
from starglot.language.chat import frame
from starglot.language.prompts import form_of
from starglot.language.tokens import PromptTokens
from starglot.spectra.redraw import redraw_flux

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Pseudo-values from standard ones: the ranges of real labels, so that their digits are practised.
_VALUES: dict[str, Callable[[float], float]] = {
    "teff": lambda z: 5500 * math.exp(0.28 * z),  # some beyond 10,000 K, where a fifth digit begins
    "logg": lambda z: min(max(3.2 + 0.8 * z, 0.0), 5.49),
    "feh": lambda z: -0.2 + 0.45 * z,
    "redshift": lambda z: min(max(0.25 + 0.12 * z, 0.0), 0.999),
}
#: Mean and spread (dex) of pseudo-abundances.
_ABUNDANCE = 0.05, 0.25


def _abundance(z: float) -> float:
    return _ABUNDANCE[0] + _ABUNDANCE[1] * z


#: Pseudo-classes by pseudo-temperature, falling.
_LETTERS = ((7400.0, "A"), (6000.0, "F"), (5200.0, "G"), (3900.0, "K"), (-np.inf, "M"))
#: Names of the questions: a letter in front of the answer.
_MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Quantities:
    """Hidden quantities of spectra: (n, k) standardised numbers, principal components first."""

    values: NDArray[np.float64]
    components: int


def quantities(written: NDArray[np.int16], components: int, windows: int, seed: int) -> Quantities:
    """Principal components and window contrasts of the standardised values of (n, n_values) spectra.

    A contrast is the mean of a window of 1 to 17 values less that of its two neighbours.
    """
    rng = np.random.default_rng(seed)
    flux = written.astype(np.float64)
    scaled = (flux - flux.mean(axis=0)) / np.maximum(flux.std(axis=0), 1.0)
    width = scaled.shape[1]
    components = min(components, *scaled.shape)
    # Spectra that directions are taken from: enough for a few tens of them, and the decomposition stays short.
    chosen = rng.permutation(len(scaled))[:4000]
    directions = np.linalg.svd(scaled[chosen], full_matrices=False)[2][:components]
    signs = np.sign(directions[np.arange(components), np.abs(directions).argmax(axis=1)])  # svd leaves it open
    contrasts = np.stack([_contrast(width, rng) for _ in range(windows)]) if windows else np.empty((0, width))
    raw = scaled @ np.concatenate([directions * signs[:, None], contrasts]).T
    return Quantities((raw / np.maximum(raw.std(axis=0), 1e-9)).clip(-3, 3), components)


def _contrast(width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    # 1 to 8 values to either side, narrow ones as often as wide ones by the logarithm.
    half = int(np.exp(rng.uniform(0, np.log(8.99)))) if width > 40 else 0
    centre = int(rng.integers(half + 1, width - half - 1))
    weight = np.zeros(width)
    weight[centre - half : centre + half + 1] = 1 / (2 * half + 1)
    for side in (-1, 1):
        start = max(0, centre + side * (2 * half + 1) - half)
        flank = slice(start, min(width, centre + side * (2 * half + 1) + half + 1))
        weight[flank] -= 0.5 / max(1, flank.stop - flank.start)
    return weight


class PseudoDraws(Dataset[dict[str, Any]]):
    """Examples of base pre-training: a real prompt, then several pseudo-answers, each behind its question's mark.

    The prompt costs as much as in fine-tuning, so asking it several things makes the most of it.  The first answer
    stands where the real one will and has no mark.  Some answers are in the form of stage 2; where the task's own is
    plain, all are in that.
    """

    def __init__(
        self,
        prompts: Sequence[tuple[list[str], NDArray[np.int16]]],
        tokens: PromptTokens,
        length: int,
        settings: LanguageBase,
        decimals: Mapping[str, int],
    ):
        """decimals: digits after the point by label, where the tasks to come have others than the labels' own."""
        self.prompts, self.tokens, self.length, self.settings = prompts, tokens, length, settings
        self.plain = form_of(tokens.task).plain
        self.atmosphere = form_task("atmosphere", ATMOSPHERE_NAMES, decimals)
        self.abundances = form_task("abundances", ABUNDANCE_NAMES, decimals)
        self.augment = Augment(noise=settings.noise, tilt=settings.tilt)
        self.before, self.between, self.after = frame(tokens.tokenizer)
        self.marks = [tokens.tokenizer.convert_tokens_to_ids(mark) for mark in _MARKS[: settings.questions]]
        written = np.stack([values for _, values in prompts])
        found = quantities(written, settings.components, settings.windows, settings.seed)
        self.hidden = found.values
        rng = np.random.default_rng([settings.seed, 1])
        count, first = self.hidden.shape[1], found.components

        def pick(size: int) -> NDArray[np.int64]:
            """Indices of quantities, three in four of them principal components."""
            return np.where(rng.random(size) < 0.75, rng.integers(first, size=size), rng.integers(count, size=size))

        width = len(ATMOSPHERE_NAMES)
        self.triples = np.stack([np.arange(width), *(pick(width) for _ in range(settings.questions))])
        self.by_name = dict(zip(ABUNDANCE_NAMES, pick(len(ABUNDANCE_NAMES)).tolist(), strict=True))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, Any]:
        """{'prompt': ids, 'answer': ids, 'counts': marks do not}."""
        epoch, place = divmod(int(number), len(self.prompts))
        seed = self.settings.seed
        row = int(np.random.default_rng([seed, 2, epoch]).permutation(len(self.prompts))[place])
        rng = np.random.default_rng([seed, 3, number])
        labels, values = self.prompts[row]
        if self.augment.changes:
            codec = self.tokens.codec
            values = codec.values_from_binned(redraw_flux(codec.flux(values[None]), self.augment, rng))[0]
        answer, counts = self._segment(self._list(row, 0), [])
        for question in 1 + rng.permutation(len(self.marks))[: self.settings.per_spectrum - 1]:
            if not self.plain and rng.random() < self.settings.named:
                more = self._segment(self._named(row, rng), self.between)
            else:
                more = self._segment(self._list(row, question), [self.marks[question - 1], *self.between])
            answer, counts = answer + more[0], counts + more[1]
        prompt = [*self.before, *self.tokens.prompt(labels, values), *self.between]
        return {"prompt": prompt, "answer": answer, "counts": counts}

    def _segment(self, text: str, mark: list[int]) -> tuple[list[int], list[bool]]:
        ids, counts = self.tokens.answer(text)
        ids, counts = [*ids, *self.after], [*counts, *[True] * len(self.after)]
        return [*mark, *ids], [*[False] * len(mark), *counts]

    def _list(self, row: int, question: int) -> str:
        """A pseudo-answer in the form of stage 1, or in the task's own where that is plain."""
        if self.plain:
            own = {
                name: _VALUES.get(name, _abundance)(float(self.hidden[row, at]))
                for name, at in zip(self.tokens.task.labels, self.triples[question], strict=False)
            }
            return render(self.tokens.task, None, own, list(own), "rounded")
        values = {
            name: _VALUES[name](float(self.hidden[row, at]))
            for name, at in zip(ATMOSPHERE_NAMES, self.triples[question], strict=True)
        }
        letter = next(letter for low, letter in _LETTERS if values["teff"] >= low)
        return render(self.atmosphere, letter, values, ATMOSPHERE_NAMES, "rounded")

    def _named(self, row: int, rng: np.random.Generator) -> str:
        """A pseudo-answer in the form of stage 2, for a few labels in the order of ``labels.LABELS``."""
        chosen = np.sort(rng.permutation(len(ABUNDANCE_NAMES))[: self.settings.names])
        labels = [ABUNDANCE_NAMES[index] for index in chosen]
        values = {name: _abundance(float(self.hidden[row, self.by_name[name]])) for name in labels}
        return render(self.abundances, None, values, labels, "rounded")
