"""Which catalogue rows are worth a look on disk: what the largest samples need, and every matched star."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.formats.counts import Counts
from starglot.samples.order import star_ranks

#: Steps in which the cut in rank moves.
STEP = 1.1

log = logging.getLogger(__name__)


def select(
    catalog: pa.Table,
    wanted: Sequence[Mapping[str, Any]],
    matched_stars: set[str],
    snr_min: Mapping[str, float],
    margin: float,
    seed: int,
    counts: Counts | None = None,
    places: Sequence[str] = ("shard",),
) -> pa.Table:
    """Candidate rows: for each task the first stars in drawing order, and every star of ``matched_stars``.

    catalog: a survey's rows with star_id and shard; wanted: of each task its ``labels``, and under ``counts`` the
    spectra that its largest sample needs of each class, or under 'all' of all, with a class or without (None: all
    there are), times ``margin`` for files that are absent or rejected; snr_min: least S/N by band (paper 2.1), a
    missing S/N fails; places: columns that name a row's file.

    A star counts in a class with its spectra that have a class letter, the S/N and any of the task's labels.
    Every visit of a kept star that has letter and S/N is a candidate.  Sorted by obsid; the order of rows does
    not matter.  The cut in rank moves in steps, so up to STEP times as many stars are kept as needed, and a new plate
    (a few rows in ten thousand) pushes out nobody, except for the rare one that moves the cut by a step: the rows of
    other plates, and so their cleaned shards, stay.  ``counts`` takes the account of rows that are no candidates.

    Raises StarglotError when a band of ``snr_min`` is missing from every row, or nothing is left.
    """
    counts = counts or Counts()
    counts.rows += len(catalog)
    classed = not any("all" in task["counts"] for task in wanted)
    usable = catalog.filter(_usable(catalog, snr_min, counts, places, classed))
    stars = usable["star_id"].combine_chunks()
    selected = pc.is_in(stars, value_set=pa.array(sorted(matched_stars), pa.string())).to_numpy(zero_copy_only=False)
    ranks = star_ranks(stars, seed)
    letters = usable["class"].to_numpy(zero_copy_only=False)
    chosen = np.zeros(len(usable), bool)
    for task in wanted:
        labelled = np.zeros(len(usable), bool)
        for name in task["labels"]:
            labelled |= pc.is_valid(usable[name]).to_numpy()
        for letter, count in task["counts"].items():
            rows = np.flatnonzero(labelled & ((letters == letter) | (letter == "all")))
            needed = len(rows) if count is None else math.ceil(count * margin)
            sorted_ranks = np.sort(ranks[rows])
            if needed and len(rows):
                last = int(sorted_ranks[min(needed, len(rows)) - 1])
                chosen[rows] |= ranks[rows] <= np.uint64(_step_above(last))
            log.info("class %s: %d of %d labelled spectra are candidates", letter, int(chosen[rows].sum()), len(rows))
    first_stars = pc.unique(stars.filter(pa.array(chosen)))
    selected = selected | pc.is_in(stars, value_set=first_stars).to_numpy(zero_copy_only=False)
    if not selected.any():
        sought = dict.fromkeys(name for task in wanted for name in task["labels"])
        valued = ", ".join(f"{len(usable) - usable[name].null_count} with {name}" for name in sought)
        raise StarglotError(
            "no catalogue row is selected",
            where=f"{len(catalog)} rows, {len(usable)} of them with "
            + ("a class letter and " if classed else "")
            + f"enough S/N{'; of these ' if valued else ''}{valued}",
            todo="check the catalogues, the survey's snr_min, and the tasks and sizes under run",
        )
    obsids = usable["obsid"].to_numpy()
    counts.leave_out(
        "not_needed", int((~selected).sum()), f"obsid {obsids[~selected][0]}" if not selected.all() else ""
    )
    counts.close(int(selected.sum()))
    log.info("%d candidates, %d stars matched to other surveys among them", int(selected.sum()), len(matched_stars))
    return usable.filter(pa.array(selected)).sort_by("obsid").combine_chunks()


def _step_above(rank: int) -> int:
    """The least of 2**64 / STEP**k (k = 0, 1, ...) that is not below a uint64 rank; at most the largest rank."""
    k = math.floor(math.log(2.0**64 / (rank + 1)) / math.log(STEP))
    return max(rank, min(2**64 - 1, int(2.0**64 / STEP**k)))


def _usable(
    catalog: pa.Table, snr_min: Mapping[str, float], counts: Counts, places: Sequence[str], classed: bool
) -> pa.Array:
    """Rows with a class letter (if ``classed``), what their file name is made of, and the S/N."""
    named = pa.scalar(True)
    for name in places:
        named = pc.and_(named, pc.is_valid(catalog[name]))
    enough = pa.chunked_array([pa.array(np.ones(len(catalog), bool))])
    for band, least in snr_min.items():
        column = catalog[f"snr_{band}"]
        if len(catalog) and column.null_count == len(catalog):
            raise StarglotError(
                f"no row has an S/N in band {band}, which the config cuts on",
                where=f"snr_min.{band} = {least:g} of the survey",
                todo=f"take {band} out of snr_min, or use a catalogue that has snr{band}",
            )
        for letter in pc.unique(catalog["class"].drop_null()).to_pylist():
            of_class = column.filter(pc.equal(catalog["class"], letter))
            if of_class.null_count == len(of_class):
                log.warning("class %s: none of its %d rows has an S/N in band %s", letter, len(of_class), band)
        enough = pc.and_(enough, pc.fill_null(pc.greater_equal(column, least), False))
    keep, obsids = np.ones(len(catalog), bool), catalog["obsid"].to_numpy()
    demands = {
        "no_class": pc.or_(pc.is_valid(catalog["class"]), not classed),
        "no_file_name": named,
        "snr_too_low": enough,
    }
    for reason, met in demands.items():
        lost = keep & ~met.to_numpy()
        counts.leave_out(reason, int(lost.sum()), f"obsid {obsids[lost][0]}" if lost.any() else "")
        keep &= ~lost
    return pa.array(keep)
