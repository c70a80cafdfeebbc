"""Spectra and answers for the training of a model that reads patch tokens: what is drawn when, and batches of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

from starglot.config.kinds.patch_llm import Lines, PixelAugment
from starglot.language.number_answers import NUMBERS, AnswerTokens, NumberScale
from starglot.models.baselines.rows import Rows
from starglot.spectra.pixels import pixels, redraw_pixels
from starglot.training.data import IGNORED

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Variation:
    """How a spectrum is drawn anew: settings, noise of a pixel (size,), error of fed numbers.

    lines: labels that are ``movable`` (labels,) change together with their estimates, as in
    :mod:`starglot.training.lines`, so that answers follow what estimates say of an element's own lines.
    """

    augment: PixelAugment
    noise: np.ndarray
    fed_error: float
    lines: Lines | None = None
    movable: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


class PatchDraws(Dataset[dict[str, Any]]):
    """The examples of a whole training in the order in which they are seen.

    Pass after pass over the rows, each in an order of its own, cut or continued to ``length`` items.  Which row comes
    when, and what is changed about it, depends on the seed and the row alone.
    """

    def __init__(
        self,
        rows: Rows,
        flux: np.ndarray,
        answer: AnswerTokens,
        scales: Sequence[NumberScale],
        coarse: int,
        wave: np.ndarray,
        length: int,
        seed: int,
        variation: Variation | None = None,
        embedded: np.ndarray | None = None,
    ):
        """flux: (rows, size) int16, in the order of ``rows``; wave: (size,) the grid (A); variation: None leaves
        spectra and their order as they are; embedded: embeddings (rows, numbers) of the spectra as they are."""
        self.rows, self.flux, self.answer, self.scales = rows, flux, answer, scales
        self.coarse, self.wave, self.embedded = coarse, wave, embedded
        self.length, self.seed, self.variation = length, seed, variation
        low, step = (np.array([getattr(scale, name) for scale in scales]) for name in ("low", "step"))
        self.number = (rows.truth - low) / step
        self.middle = (np.array([scale.middle for scale in scales]) - low) / step
        self.step, self.error = step, np.array([scale.error for scale in scales]) / step
        self._order: tuple[int, np.ndarray] | None = None

    def of_other(self, rows: Rows, flux: np.ndarray, embedded: np.ndarray | None) -> PatchDraws:
        """The same of other spectra."""
        shared = (self.answer, self.scales, self.coarse, self.wave)
        return PatchDraws(rows, flux, *shared, self.length, self.seed, self.variation, embedded)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, Any]:
        """{'fine', 'coarse': of the spectrum; 'target': true numbers, NaN where unknown; 'fed': numbers that later
        ones see; 'code': of the class, -1 unknown; with lines 'changed': in estimates, fractions of ranges; with
        embeddings 'embedded'}."""
        epoch, place = divmod(int(number), len(self.rows))
        at = self._row(epoch, place)
        fine, coarse = pixels(np.asarray(self.flux[at : at + 1]), self.coarse, self.wave)
        further: dict[str, Any] = {} if self.embedded is None else {"embedded": np.asarray(self.embedded[at])}
        target = self.number[at]
        fed = np.where(np.isfinite(target), target, self.middle)
        if self.variation is not None:
            rng = np.random.default_rng([self.seed, epoch, int(self.rows.obsid[at])])
            how = self.variation
            fine, coarse = redraw_pixels(fine, coarse, how.augment, how.noise, self.wave, rng)
            fed = fed + how.fed_error * self.error * rng.standard_normal(len(fed))
            if how.lines is not None:
                changed = self._change(target, how.lines, how.movable, rng)
                target, fed, further = (
                    target + changed,
                    fed + changed,
                    {**further, "changed": changed / (NUMBERS - 1)},
                )
        told = {"fine": fine[0], "coarse": coarse[0], "target": target, "fed": fed}
        return {**told, **further, "code": int(self.rows.group[at])}

    def _change(self, number: np.ndarray, how: Lines, movable: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Changes (labels,) in numbers, none of which leaves the range; 0 where the label is missing."""
        n = len(number)
        large = (rng.random() < how.altered) & (rng.random(n) < how.elements)
        dex = np.where(large, how.reach * rng.uniform(-1, 1, n), 0.0) + how.scatter * rng.standard_normal(n)
        after = (number + np.where(movable, dex / self.step, 0.0)).clip(0, NUMBERS - 1)
        changed: np.ndarray = np.nan_to_num(after - number, nan=0.0)
        return changed

    def _row(self, epoch: int, place: int) -> int:
        if self.variation is None:
            return place
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))
        return int(self._order[1][place])


@dataclass(frozen=True)
class PatchCollate:
    """Joins examples to a batch; all prompts and answers of a task are equally long."""

    answer: AnswerTokens

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """fine (n, size), coarse (n, coarse), answer (n, length) ids, labels: the same for the loss of the text,
        target (n, labels), fed (n, labels, 1 or 3): what the answer has in the numbers' slots."""
        import torch

        columns = {name: np.stack([each[name] for each in examples]) for name in ("fine", "coarse", "target", "fed")}
        code = np.array([each["code"] for each in examples])
        ids = self.answer.tokens(columns["fed"], code)
        further = {
            name: torch.from_numpy(np.stack([each[name] for each in examples]).astype(np.float32))
            for name in ("changed", "embedded")
            if name in examples[0]
        }
        labels = ids.copy()
        labels[:, self.answer.slots] = IGNORED
        if self.answer.letter is not None:
            labels[code < 0, self.answer.letter] = IGNORED
        return {
            "fine": torch.from_numpy(columns["fine"]),
            "coarse": torch.from_numpy(columns["coarse"]),
            "answer": torch.from_numpy(ids),
            "labels": torch.from_numpy(labels),
            "target": torch.from_numpy(columns["target"].astype(np.float32)),
            "fed": torch.from_numpy(self.answer.parts(columns["fed"])),
            **further,
        }
