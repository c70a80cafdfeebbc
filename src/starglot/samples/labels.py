"""The labels of every cleaned spectrum, from the catalogue or from a matched survey."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.labels import LABELS

log = logging.getLogger(__name__)

_KEYS = ("obsid", "star_id", "class", "snr_r", "snr_i")


def collect_labels(
    task: Task,
    selected: Iterable[Path],
    spectra: Iterable[Path],
    match_table: Path | None,
    external: str | None = None,
) -> pa.Table:
    """One row per cleaned spectrum with at least one valid label of ``task``, sorted by obsid.

    selected, spectra: files of the shards, {shard}.parquet in both; match_table: of the task's survey (obsid and
    its labels), None when LAMOST's own labels are asked; external: the survey whose match with LAMOST that is, when
    the task is to be judged against another survey than it learns from: labels that it lacks are null.
    Columns: obsid, star_id, class, shard, snr_r, snr_i, then each label and its error (null where missing).

    Raises StarglotError when a shard has no selected rows, or the source lacks a label of the task (an external
    survey: every label).
    """
    columns = [name for label in task.labels for name in (label, LABELS[label].error)]
    source = external or task.sample.source
    matched = None if source == "lamost" else _matched(source, columns, match_table, bool(external))
    by_shard = {path.stem: path for path in selected}
    parts = []
    for path in spectra:
        if path.stem not in by_shard:
            raise StarglotError(
                f"shard {path.stem} has spectra and no selected rows", where=path, todo="run: snakemake inventory"
            )
        part = _shard(by_shard[path.stem], path, columns, matched, task)
        parts.append(part.filter(_any_valid(part, task.labels)))
    if not parts:
        raise StarglotError("there is no shard to collect labels from", todo="run: snakemake inventory")
    table = pa.concat_tables(parts).sort_by("obsid").combine_chunks()
    log.info("%d cleaned spectra have a label of %s", len(table), source)
    return table


def _shard(selected: Path, spectra: Path, columns: list[str], matched: pa.Table | None, task: Task) -> pa.Table:
    """Keys and labels of one shard's cleaned spectra."""
    wanted = list(_KEYS) if matched is not None else [*_KEYS, *columns]
    lacking = [name for name in wanted if name not in pq.read_schema(selected).names]
    if lacking:
        raise StarglotError(
            f"{task.sample.source} has no column {', '.join(lacking)}",
            where=selected,
            allowed="teff, logg, feh for source lamost",
            todo="correct the task's labels or its source",
        )
    rows = pq.read_table(selected, columns=wanted)
    cleaned = pq.read_table(spectra, columns=["obsid"])["obsid"].combine_chunks()
    rows = rows.filter(pc.is_in(rows["obsid"], value_set=cleaned))
    if matched is not None:
        at = pc.index_in(rows["obsid"], value_set=matched["obsid"].combine_chunks())
        for name in columns:
            rows = rows.append_column(name, matched[name].take(at))
    shard = pa.array([spectra.stem] * len(rows), pa.string())
    keys = {"obsid": rows["obsid"], "star_id": rows["star_id"], "class": rows["class"], "shard": shard}
    return pa.table({**keys, **{name: rows[name] for name in ("snr_r", "snr_i", *columns)}})


def _matched(source: str, columns: list[str], match_table: Path | None, some: bool) -> pa.Table:
    """obsid and ``columns`` of a match table; with ``some``, columns that it lacks are null."""
    if match_table is None:
        raise StarglotError(
            f"labels of {source} need its match with LAMOST", todo=f"build match/lamost_{source}.parquet"
        )
    lacking = [name for name in columns if name not in pq.read_schema(match_table).names]
    if some and len(lacking) < len(columns):
        table = pq.read_table(match_table, columns=["obsid", *(name for name in columns if name not in lacking)])
        for name in lacking:
            table = table.append_column(name, pa.nulls(len(table), pa.float64()))
        return table
    if lacking:
        raise StarglotError(
            f"the match table lacks {', '.join(lacking)}", where=match_table, todo="correct the task's labels"
        )
    return pq.read_table(match_table, columns=["obsid", *columns])


def _any_valid(table: pa.Table, labels: Iterable[str]) -> pa.ChunkedArray:
    valid = pa.scalar(False)
    for name in labels:
        valid = pc.or_(valid, pc.is_valid(table[name]))
    return valid
