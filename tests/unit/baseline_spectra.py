"""A small survey whose spectra are linear in their labels, for the tests of baselines."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from starglot.labels import CLASSES
from starglot.tables import SAMPLE, spectra_table, write_parquet
from tasks import task_of

TASK = task_of("atmosphere", ["teff", "logg", "feh"], source="lamost", balanced=True, sizes={"s": 4})
NAMED = task_of("abundances", ["mg_fe", "feh"], source="apogee", balanced=False, sizes={"all": None})
GRID, BIN, N = 64, 4, 500


@dataclass(frozen=True)
class Survey:
    """sample, labels: as the workflow has them; folder: of shards; the rest: the same as arrays."""

    sample: pa.Table
    labels: pa.Table
    folder: Path
    flux: np.ndarray
    y: np.ndarray
    split: np.ndarray
    code: np.ndarray
    obsid: np.ndarray

    def shard_path(self, shard: str) -> Path:
        return self.folder / f"{shard}.parquet"

    def of(self, split: str) -> pa.Table:
        """The sample's rows of one split."""
        return self.sample.filter(pa.compute.equal(self.sample["split"], split))


def linear_survey(folder: Path) -> Survey:
    """500 spectra on two shards; [Fe/H] is missing for some, [Mg/Fe] for all."""
    rng = np.random.default_rng(1)
    code = rng.integers(0, 5, N)
    teff = np.array([8500, 6700, 5700, 4700, 3500.0])[code] + rng.normal(0, 250, N)
    logg, feh = rng.normal(4, 0.5, N), rng.normal(-0.2, 0.3, N)
    load = rng.normal(0, 40, (3, GRID))
    z = np.stack([(teff - 5500) / 2000, (logg - 4) / 0.5, feh / 0.3])
    flux = np.clip(np.round(500 + z.T @ load + rng.normal(0, 10, (N, GRID))), -32000, 32000).astype(np.int16)
    flux[:, 40:44] = 700  # a constant bin
    obsid = rng.permutation(10_000)[:N].astype(np.int64)
    shard = np.where(rng.random(N) < 0.3, "58000-A", "58001-B")
    stars = [f"gaia:{i}" for i in range(N)]
    for name in np.unique(shard):
        mine = np.flatnonzero(shard == name)
        table = spectra_table(obsid[mine], [stars[i] for i in mine], flux[mine], np.zeros(len(mine), np.int32))
        write_parquet(table, folder / f"{name}.parquet")
    feh_known = np.where(rng.random(N) < 0.7, feh, np.nan)
    split = np.array(["train"] * 350 + ["val"] * 70 + ["test"] * 80)
    sample = pa.table(
        {
            "obsid": obsid,
            "star_id": stars,
            "class": [CLASSES[c] for c in code],
            "split": split,
            "fold": np.zeros(N, np.int8),
        }
    ).cast(SAMPLE)
    labels = pa.table(
        {
            "obsid": obsid,
            "shard": shard,
            "teff": teff,
            "logg": logg,
            "feh": pa.array(feh_known, mask=np.isnan(feh_known)),
            "mg_fe": pa.nulls(N, pa.float64()),
        }
    ).take(pa.array(rng.permutation(N)))
    return Survey(sample, labels, folder, flux, np.stack([teff, logg, feh_known], 1), split, code, obsid)
