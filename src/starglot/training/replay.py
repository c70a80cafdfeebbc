"""Replay: training that goes back to what was learnt before, so that it is not forgotten.

What a model has learnt where every abundance is drawn on its own, a survey's correlations would write over; and what
a base knows of language, spectra would (:mod:`starglot.training.rehearsal`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.utils.data import Dataset

#: What tells the draw of replayed places from other draws of the same seed.
_DRAW = 1701


class Replayed(Dataset[dict[str, Any]]):
    """The examples of a training, of which a share is taken from those of something earlier.

    Which places these are depends on the seed alone; both kinds keep their own order.
    """

    def __init__(
        self,
        own: Dataset[dict[str, Any]],
        earlier: Dataset[dict[str, Any]],
        share: float,
        seed: int,
        together: int = 1,
    ):
        """own, earlier: each as long as the whole training; share: of ``earlier``, 0 to 1; together: so many
        neighbours are of one kind."""
        length = len(own)  # type: ignore[arg-type]
        self.own, self.earlier = own, earlier
        drawn = np.random.default_rng([seed, _DRAW, together - 1]).random(-(-length // together)) < share
        self.is_earlier = np.repeat(drawn, together)[:length]
        count = np.cumsum(self.is_earlier)
        self.place = np.where(self.is_earlier, count - 1, np.arange(length) - count)

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """As of the data set that place ``number`` belongs to."""
        chosen = self.earlier if self.is_earlier[number] else self.own
        return chosen[int(self.place[number])]
