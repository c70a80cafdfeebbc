"""What a sample's training spectra cover: their flux, S/N, labels and classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.tasks import Task
from starglot.hashing import stable_hash
from starglot.models.domain import Domain, learn_domain
from starglot.tables import read_spectra

#: Most spectra of each split that are looked at: bounds memory, and more would change no component.
MOST = {"train": 20_000, "val": 5_000}
#: Parts of the training values between which an answer is within their range: all but the wildest labels.
RANGE = (0.001, 0.999)
#: S/N that all but this part of the training spectra reach.
LEAST_SNR = 0.01


def domain_of_sample(
    task: Task, sample: pa.Table, labels: pa.Table, shard_path: Callable[[str], Path]
) -> tuple[Domain, dict[str, Any]]:
    """The region of a sample's training spectra, and facts for a reader (JSON-able).

    sample: ``tables.SAMPLE``; labels: obsid, shard, the task's labels, perhaps snr_r; shard_path: shard -> spectra.
    Facts: spectra (training spectra); labels: by name low and high, the range of all but the wildest two in a
    thousand, and n; snr: least, median (of the r band, None where unknown); classes: spectra of each group.
    """
    flux = {}
    for split, most in MOST.items():
        obsids = sample.filter(pc.equal(sample["split"], split))["obsid"].to_numpy()
        drawn = np.sort(obsids[np.argsort(stable_hash(obsids, "domain"), kind="stable")[:most]])
        shards = _of(labels, drawn)["shard"].to_pylist()
        flux[split] = read_spectra([shard_path(shard) for shard in sorted(set(shards))], drawn)
    train = sample.filter(pc.equal(sample["split"], "train"))
    known = _of(labels, train["obsid"].to_numpy())
    snr = _numbers(known, "snr_r")
    return learn_domain(flux["train"], flux["val"].reshape(-1, flux["train"].shape[1])), {
        "spectra": len(train),
        "labels": {name: _range(_numbers(known, name)) for name in task.labels},
        "snr": {
            "least": float(np.quantile(snr, LEAST_SNR)) if len(snr) else None,
            "median": float(np.median(snr)) if len(snr) else None,
        },
        "classes": {
            one["values"]: one["counts"]
            for one in sorted(pc.value_counts(train["class"]).to_pylist(), key=lambda one: str(one["values"]))
            if one["values"] is not None
        },
    }


def _of(labels: pa.Table, obsids: np.ndarray) -> pa.Table:
    return labels.take(pc.index_in(pa.array(obsids), value_set=labels["obsid"].combine_chunks()))


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """The finite values of a column; none where the survey has no such column."""
    if name not in table.column_names:
        return np.empty(0)
    values = np.asarray(table[name].to_numpy(zero_copy_only=False), float)
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


def _range(values: np.ndarray) -> dict[str, Any]:
    if not len(values):
        return {"low": None, "high": None, "n": 0}
    low, high = np.quantile(values, RANGE)
    return {"low": float(low), "high": float(high), "n": len(values)}
