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
    candidates: Path,
    spectra: Iterable[Path],
    match_table: Path | None,
    external: str | None = None,
) -> pa.Table:
    """One row per cleaned spectrum with at least one valid label of ``task``, sorted by obsid.

    candidates: the survey's selected catalogue rows; spectra: the cleaned shards, {shard}.parquet; match_table: of
    the task's survey (obsid and its labels), None when the labels of the survey itself are asked; external: the
    survey whose match that is, when the task is to be judged against another survey than it learns from: labels that
    it lacks are null.
    Columns: obsid, star_id, class, shard, snr_r, snr_i, then each label and its error (null where missing).

    Raises StarglotError when a cleaned spectrum is none of the candidates, or the source lacks a label of the task
    (an external survey: every label).
    """
    columns = [name for label in task.labels for name in (label, LABELS[label].error)]
    source = external or task.sample.source
    matched = None if match_table is None else _matched(source, columns, match_table, bool(external))
    cleaned = _cleaned(spectra)
    own = [] if matched is not None else columns
    rows = _rows_of(cleaned, _candidates(candidates, own, source), candidates)
    if matched is not None:
        at = pc.index_in(rows["obsid"], value_set=matched["obsid"].combine_chunks())
        for name in columns:
            rows = rows.append_column(name, matched[name].take(at))
    table = rows.filter(_any_valid(rows, task.labels)).sort_by("obsid").combine_chunks()
    log.info("%d cleaned spectra have a label of %s", len(table), source)
    return table


def _cleaned(spectra: Iterable[Path]) -> pa.Table:
    """obsid and shard of every cleaned spectrum."""
    parts = []
    for path in spectra:
        obsid = pq.read_table(path, columns=["obsid"])["obsid"]
        parts.append(pa.table({"obsid": obsid, "shard": pa.array([path.stem] * len(obsid), pa.string())}))
    if not parts:
        raise StarglotError(
            "there is no shard to collect labels from", allowed="one or more", todo="run: snakemake inventory clean"
        )
    return pa.concat_tables(parts)


def _candidates(path: Path, columns: list[str], source: str) -> pa.Table:
    """Keys and ``columns`` of the selected catalogue rows."""
    names = pq.read_schema(path).names
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise StarglotError(
            f"{source} has no column {', '.join(lacking)}",
            where=path,
            allowed=f"labels that it has: {', '.join(name for name in LABELS if name in names)}",
            todo="correct the task's labels or its source",
        )
    return pq.read_table(path, columns=[*_KEYS, *columns])


def _rows_of(cleaned: pa.Table, candidates: pa.Table, where: Path) -> pa.Table:
    """The candidates' rows of the cleaned spectra, each with its shard."""
    at = pc.index_in(cleaned["obsid"], value_set=candidates["obsid"].combine_chunks())
    if at.null_count:
        unknown = cleaned.filter(pc.is_null(at))
        raise StarglotError(
            f"{len(unknown)} cleaned spectra are none of the selected rows",
            where=f"{where}; first: obsid {unknown['obsid'][0]} of shard {unknown['shard'][0]}",
            todo="run: snakemake inventory clean",
        )
    rows = candidates.take(at)
    keys = {name: rows[name] for name in ("obsid", "star_id", "class")}
    values = {name: pc.cast(rows[name], pa.float64()) for name in rows.column_names if name not in keys}
    return pa.table({**keys, "shard": cleaned["shard"], **values})


def _matched(source: str, columns: list[str], match_table: Path, some: bool) -> pa.Table:
    """obsid and ``columns`` of a match table; with ``some``, columns that it lacks are null."""
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
