"""A task's sample of one size: balanced over its groups, nested in the larger sizes, split by star."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.root import Split
from starglot.config.tasks import Sample, Task
from starglot.errors import StarglotError
from starglot.samples.few import too_few
from starglot.samples.groups import by_strata, in_groups
from starglot.samples.order import drawing_order
from starglot.samples.split import split_of
from starglot.tables import SAMPLE, SPLITS

log = logging.getLogger(__name__)


def draw(labels: pa.Table, task: Task, size: str, split: Split, seed: int) -> tuple[pa.Table, dict[str, Any]]:
    """The spectra of a sample (schema ``tables.SAMPLE``, sorted by obsid) and its manifest.

    labels: one row per cleaned spectrum (obsid, star_id, class, labels), of
    :func:`starglot.samples.labels.collect_labels`.

    A balanced sample of n takes the first n / 5 spectra of each of five groups in drawing order (a hash of star_id,
    then of obsid; a remainder goes to the first groups), any other the first n of all, with strata in an order that
    has their shares all along (:func:`starglot.samples.groups.by_strata`).  So the sizes are nested, a
    spectrum more or less shifts only the end, and repeat visits stay together.  A size of null takes everything.

    Too few spectra are an error, or with ``shortage: take_all`` all there are, told under "shortages" in the
    manifest.  The manifest counts spectra and stars by group and split.
    """
    plan = task.sample
    if size not in plan.sizes:
        raise StarglotError(
            f"the task has no size '{size}'",
            where="sample: sizes",
            allowed=", ".join(plan.sizes),
            todo="name one of these, or add it to the task's sizes",
        )
    rows, bins = in_groups(labels, plan)
    order = drawing_order(rows["star_id"], rows["obsid"].to_numpy(), seed)
    if plan.strata is not None:
        known = labels.take(pc.index_in(rows["obsid"], value_set=labels["obsid"].combine_chunks()))
        order = by_strata(order, known, plan.strata, split_of(rows["star_id"].to_pylist(), split, seed)[0])
    of = rows["class"].to_numpy(zero_copy_only=False)
    wanted = _wanted(plan, size)
    taken, shortages = [], {}
    for group, count in wanted.items():
        members = order if group == "all" else order[of[order] == group]
        if count is not None and len(members) < count:
            shortages[group] = {"wanted": count, "available": len(members)}
        taken.append(members[:count])
    if shortages and plan.shortage == "error":
        detail = "; ".join(f"{g}: {s['available']} of {s['wanted']}" for g, s in shortages.items())
        raise StarglotError(
            f"too few spectra for size '{size}': {detail}",
            where=f"{len(rows)} cleaned spectra with labels",
            todo="use a smaller size, raise select.margin if files were rejected, or set shortage: take_all",
        )
    for group, short in shortages.items():
        log.warning("size %s, %s: %d spectra of %d wanted", size, group, short["available"], short["wanted"])
    chosen = rows.take(pa.array(np.concatenate(taken) if taken else np.empty(0, np.int64))).sort_by("obsid")
    splits, folds = split_of(chosen["star_id"].to_pylist(), split, seed)
    sample = chosen.append_column("split", pa.array(splits.tolist(), pa.string())).append_column(
        "fold", pa.array(folds)
    )
    sample = sample.select(SAMPLE.names).cast(SAMPLE)
    manifest = _manifest(sample, plan, size, shortages, split, seed)
    for sentence in too_few(manifest["splits"], len(task.labels)):
        log.warning("size %s: %s", size, sentence)
    return sample, {**manifest, **bins}


def _wanted(plan: Sample, size: str) -> dict[str, int | None]:
    """Spectra wanted of each group, or of 'all'; None: as many as there are."""
    count, groups = plan.sizes[size], plan.group_names
    if not plan.balanced:
        return {"all": count}
    if count is None:
        return dict.fromkeys(groups, None)
    return {name: count // len(groups) + (place < count % len(groups)) for place, name in enumerate(groups)}


def _manifest(
    sample: pa.Table, plan: Sample, size: str, shortages: dict[str, dict[str, int]], split: Split, seed: int
) -> dict[str, Any]:
    def count(table: pa.Table) -> dict[str, int]:
        return {"spectra": len(table), "stars": len(pc.unique(table["star_id"]))}

    by_group: dict[str, dict[str, Any]] = {}
    for group in plan.group_names:
        here = sample.filter(pc.equal(sample["class"], group))
        by_group[group] = {
            **count(here),
            "splits": {name: count(here.filter(pc.equal(here["split"], name))) for name in SPLITS},
        }
    return {
        "size": size,
        "wanted": plan.sizes[size],
        "balanced": plan.balanced,
        "shortage": plan.shortage,
        "shortages": shortages,
        **count(sample),
        "splits": {name: count(sample.filter(pc.equal(sample["split"], name))) for name in SPLITS},
        "groups": by_group,
        "split": split.model_dump(),
        "seed": seed,
    }
