"""The spectra of a sample with their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from starglot.config.tasks import Task
from starglot.models.predictions import label_values
from starglot.spectra.sample_flux import find


@dataclass(frozen=True)
class Rows:
    """Spectra with their labels: obsid (n,), shard (n,), truth (n, labels; NaN where missing).

    groups: of the task; group (n,): place of a spectrum's own among them, -1 for none.
    """

    obsid: np.ndarray
    shard: np.ndarray
    truth: np.ndarray
    group: np.ndarray
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.obsid)

    def where(self, chosen: np.ndarray) -> Rows:
        """The rows that a boolean or index array chooses."""
        return Rows(self.obsid[chosen], self.shard[chosen], self.truth[chosen], self.group[chosen], self.groups)

    def followed_by(self, other: Rows) -> Rows:
        """These rows, then those of ``other``."""
        mine, others = vars(self), vars(other)
        obsid, shard, truth, group = (
            np.concatenate([mine[name], others[name]]) for name in ("obsid", "shard", "truth", "group")
        )
        return Rows(obsid, shard, truth, group, self.groups)

    @property
    def outputs(self) -> int:
        """Outputs of a model that tells the group: one, of which nothing is learnt, where there are no groups."""
        return max(1, len(self.groups))

    @property
    def shards(self) -> list[str]:
        """Names of the shards that hold the spectra, sorted."""
        return sorted(set(self.shard.astype(str).tolist()))


def rows_of(task: Task, sample: pa.Table, labels: pa.Table) -> Rows:
    """The rows of ``sample`` (columns of ``tables.SAMPLE``), in their order, with shard and labels.

    labels: obsid, shard and the task's label columns for at least the sample's spectra, in any order.
    Raises StarglotError when a spectrum has none.
    """
    obsid = sample["obsid"].to_numpy()
    at = find(obsid, labels["obsid"].to_numpy())
    chosen = labels.take(pa.array(at))
    letters = sample["class"].to_numpy(zero_copy_only=False)
    groups = task.sample.group_names
    group = np.array([groups.index(letter) if letter in groups else -1 for letter in letters], int)
    shard = chosen["shard"].to_numpy(zero_copy_only=False)
    return Rows(obsid, shard, label_values(chosen, task.labels), group, groups)
