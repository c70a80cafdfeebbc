"""Leakage audit: stars, spectra and positions that are in two splits, and what else the splits share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial import cKDTree

from starglot.samples.sphere import chord, unit_vectors

#: Two entries closer than this (arcsec) may be one star under two names.
_SAME_PLACE = 3.0

NOTES: tuple[str, ...] = (
    "Stars and spectra in two splits must be 0: a model would be judged on what it was trained on.",
    "Stars split differently elsewhere: stars that another sample puts into another split; must be 0, too, as "
    "stage 2 continues stage 1.",
    f"Test stars near a training star: within {_SAME_PLACE:g} arcsec of one under another id; a hint that one star "
    "has two names.",
    "Plates are shared by design: the split is by star. Flux calibration and sky are common to a plate, so a model "
    "can profit from it; the last column says how much of the test could.",
)


def leakage_table(samples: Mapping[tuple[str, str], Path], catalogs: Mapping[str, pa.Table]) -> pd.DataFrame:
    """A row per (task, size): what its splits share.

    samples: sample files by (task, size); catalogs: task -> obsid, ra, dec (deg) and shard of its candidates.
    """
    held = {key: pq.read_table(path).to_pandas() for key, path in samples.items()}
    columns = ["obsid", "ra", "dec", "shard"]
    known = {
        task: catalog.select(columns).to_pandas().drop_duplicates("obsid").set_index("obsid")
        for task, catalog in catalogs.items()
    }
    records = []
    for (task, size), sample in held.items():
        elsewhere = pd.concat(
            [other[["star_id", "split"]] for key, other in held.items() if key != (task, size)]
            or [sample[["star_id", "split"]].iloc[:0]]
        ).drop_duplicates()
        both = sample[["star_id", "split"]].drop_duplicates().merge(elsewhere, on="star_id", suffixes=("", "_other"))
        placed = sample.join(known[task], on="obsid")
        train, test = placed[placed["split"] == "train"], placed[placed["split"] == "test"]
        records.append(
            {
                "task": task,
                "size": size,
                "n_spectra": len(sample),
                "n_stars": sample["star_id"].nunique(),
                "stars in two splits": int((sample.groupby("star_id")["split"].nunique() > 1).sum()),
                "spectra in two splits": int((sample.groupby("obsid")["split"].nunique() > 1).sum()),
                "spectra twice": int(sample["obsid"].duplicated().sum()),
                "stars split differently elsewhere": int(
                    both.loc[both["split"] != both["split_other"], "star_id"].nunique()
                ),
                "test stars near a training star": _near(train, test),
                "test spectra": len(test),
                "test spectra on training plates": int(test["shard"].isin(set(train["shard"].dropna())).sum()),
            }
        )
    return pd.DataFrame(records)


def _near(train: pd.DataFrame, test: pd.DataFrame) -> int:
    """Test stars within :data:`_SAME_PLACE` of a training star of another name."""
    train, test = (part.dropna(subset=["ra", "dec"]).drop_duplicates("star_id") for part in (train, test))
    if not len(train) or not len(test):
        return 0
    there, here = (unit_vectors(part["ra"].to_numpy(), part["dec"].to_numpy()) for part in (train, test))
    found = cKDTree(there).query_ball_point(here, float(chord(np.array([_SAME_PLACE]))[0]))
    names, own = train["star_id"].to_numpy(), test["star_id"].to_numpy()
    return sum(any(names[i] != own[row] for i in near) for row, near in enumerate(found))
