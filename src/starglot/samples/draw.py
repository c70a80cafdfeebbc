"""A task's sample of one size: balanced over the classes, nested in the larger sizes, split by star."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.models import Split, Task
from starglot.errors import StarglotError
from starglot.labels import CLASSES
from starglot.samples.order import drawing_order
from starglot.samples.split import split_of
from starglot.tables import SAMPLE, SPLITS

log = logging.getLogger(__name__)


def draw(labels: pa.Table, task: Task, size: str, split: Split, seed: int) -> tuple[pa.Table, dict[str, Any]]:
    """The spectra of a sample (schema ``tables.SAMPLE``, sorted by obsid) and its manifest.

    labels: one row per cleaned spectrum (obsid, star_id, class), of :func:`starglot.samples.labels.collect_labels`.

    A balanced sample of n takes the first n / 5 spectra of each class in drawing order (a hash of star_id, then of
    obsid; a remainder goes to the first classes), any other the first n of all.  So the sizes are nested, a
    spectrum more or less shifts only the end, and repeat visits stay together.  A size of null takes everything.

    Too few spectra are an error, or with ``task.shortage: take_all`` all there are, told under "shortages" in the
    manifest.  The manifest counts spectra and stars by class and split.
    """
    if size not in task.sizes:
        raise StarglotError(f"the task has no size '{size}'", allowed=", ".join(task.sizes))
    rows = labels.filter(pc.is_valid(labels["class"])).select(["obsid", "star_id", "class"]).combine_chunks()
    order = drawing_order(rows["star_id"], rows["obsid"].to_numpy(), seed)
    letters = rows["class"].to_numpy(zero_copy_only=False)
    wanted = _wanted(task, size)
    kept, shortages = [], {}
    for group, count in wanted.items():
        members = order if group == "all" else order[letters[order] == group]
        if count is not None and len(members) < count:
            shortages[group] = {"wanted": count, "available": len(members)}
        kept.append(members[:count])
    if shortages and task.shortage == "error":
        detail = "; ".join(f"{g}: {s['available']} of {s['wanted']}" for g, s in shortages.items())
        raise StarglotError(
            f"too few spectra for size '{size}': {detail}",
            where=f"{len(rows)} cleaned spectra with labels",
            todo="ask for a smaller size, raise select.margin if files were rejected, or set shortage: take_all",
        )
    for group, short in shortages.items():
        log.warning("size %s, %s: %d spectra of %d wanted", size, group, short["available"], short["wanted"])
    chosen = rows.take(pa.array(np.concatenate(kept) if kept else np.empty(0, np.int64))).sort_by("obsid")
    splits, folds = split_of(chosen["star_id"].to_pylist(), split, seed)
    sample = chosen.append_column("split", pa.array(splits.tolist(), pa.string())).append_column(
        "fold", pa.array(folds)
    )
    sample = sample.select(SAMPLE.names).cast(SAMPLE)
    return sample, _manifest(sample, task, size, shortages, split, seed)


def _wanted(task: Task, size: str) -> dict[str, int | None]:
    """Spectra wanted of each class, or of 'all'; None: as many as there are."""
    count = task.sizes[size]
    if not task.balanced:
        return {"all": count}
    if count is None:
        return dict.fromkeys(CLASSES, None)
    return {letter: count // len(CLASSES) + (place < count % len(CLASSES)) for place, letter in enumerate(CLASSES)}


def _manifest(
    sample: pa.Table, task: Task, size: str, shortages: dict[str, dict[str, int]], split: Split, seed: int
) -> dict[str, Any]:
    def count(table: pa.Table) -> dict[str, int]:
        return {"spectra": len(table), "stars": len(pc.unique(table["star_id"]))}

    by_class: dict[str, dict[str, Any]] = {}
    for letter in CLASSES:
        of_class = sample.filter(pc.equal(sample["class"], letter))
        by_class[letter] = {
            **count(of_class),
            "splits": {name: count(of_class.filter(pc.equal(of_class["split"], name))) for name in SPLITS},
        }
    return {
        "size": size,
        "wanted": task.sizes[size],
        "balanced": task.balanced,
        "shortage": task.shortage,
        "shortages": shortages,
        **count(sample),
        "splits": {name: count(sample.filter(pc.equal(sample["split"], name))) for name in SPLITS},
        "classes": by_class,
        "split": split.model_dump(),
        "seed": seed,
    }
