"""The spectra of a sample with their labels, and their flux shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.models.predictions import label_values
from starglot.tables import read_spectra

#: Numbers in a block of flux (64 MB as float64): bounds memory whatever the sample.
MAX_BLOCK = 8_000_000

ShardPath = Callable[[str], Path]


@dataclass(frozen=True)
class Rows:
    """Spectra with their labels: obsid (n,), shard (n,), truth (n, labels; NaN where missing).

    groups: of the task; code (n,): place of a spectrum's group among them, -1 for none.
    """

    obsid: np.ndarray
    shard: np.ndarray
    truth: np.ndarray
    code: np.ndarray
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.obsid)

    def where(self, chosen: np.ndarray) -> Rows:
        """The rows that a boolean or index array chooses."""
        return Rows(self.obsid[chosen], self.shard[chosen], self.truth[chosen], self.code[chosen], self.groups)

    def followed_by(self, other: Rows) -> Rows:
        """These rows, then those of ``other``."""
        mine, others = vars(self), vars(other)
        obsid, shard, truth, code = (
            np.concatenate([mine[name], others[name]]) for name in ("obsid", "shard", "truth", "code")
        )
        return Rows(obsid, shard, truth, code, self.groups)

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
    obsid, known = sample["obsid"].to_numpy(), labels["obsid"].to_numpy()
    order = np.argsort(known, kind="stable")
    at = order[np.minimum(np.searchsorted(known[order], obsid), max(len(known) - 1, 0))] if len(known) else None
    if at is None or (known[at] != obsid).any():
        if not len(obsid):
            at = np.empty(0, int)
        else:
            first = obsid[0] if at is None else obsid[known[at] != obsid][0]
            raise StarglotError(
                "a spectrum of the sample has no labels", where=f"obsid {first}", todo="snakemake samples"
            )
    chosen = labels.take(pa.array(at))
    letters = sample["class"].to_numpy(zero_copy_only=False)
    groups = task.sample.group_names
    code = np.array([groups.index(letter) if letter in groups else -1 for letter in letters], int)
    shard = chosen["shard"].to_numpy(zero_copy_only=False)
    return Rows(obsid, shard, label_values(chosen, task.labels), code, groups)


def blocks(rows: Rows, shard_path: ShardPath, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(positions in ``rows``, their int16 flux (n, grid)) shard by shard, in blocks of bounded size."""
    shards, of = np.unique(rows.shard.astype(str), return_inverse=True)
    for number, shard in enumerate(tqdm(shards, what, unit="shard", mininterval=2, disable=len(shards) < 2)):
        mine = np.flatnonzero(of == number)
        flux = read_spectra([shard_path(str(shard))], rows.obsid[mine])
        size = max(1, MAX_BLOCK // flux.shape[1])
        for first in range(0, len(mine), size):
            yield mine[first : first + size], flux[first : first + size]
