"""A shard of a survey, cleaned, to the rows of a catalogue: every selected spectrum once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.errors import StarglotError
from starglot.inference.catalogue import OF_SURVEY, Column, Part
from starglot.tables import flux_matrix

#: Spectra that are answered together: a multiple of what models take at a time.
BLOCK = 2048


def shard_stars(selected: pa.Table, candidates: Path, shard: str, own_ids: Sequence[str], by_class: bool) -> pa.Table:
    """What the survey's catalogue says of a shard's selected spectra, in the order of ``selected``.

    selected: ``tables.SELECTED``; candidates: the survey's rows with their shard; own_ids: columns with its own names
    of a star; by_class: whether uncertainties may depend on the catalogue's class, which is null otherwise.
    Raises StarglotError when a spectrum has no row.
    """
    wanted = ["obsid", "gaia_source_id", *own_ids, "ra", "dec", "class", "snr_r"]
    rows = pq.read_table(candidates, columns=wanted, filters=[("shard", "=", shard)])
    at = pc.index_in(selected["obsid"].combine_chunks(), value_set=rows["obsid"].combine_chunks())
    if at.null_count:
        raise StarglotError(
            f"{at.null_count} selected spectra of a shard are not among the survey's rows",
            where=f"{candidates}, shard {shard}",
            todo="take the inventory again: snakemake -R inventory -- inventory",
        )
    known = rows.take(at).append_column("star_id", selected["star_id"]).rename_columns({"snr_r": "snr"})
    if not by_class:
        known = known.set_column(known.column_names.index("class"), "class", pa.nulls(len(known), pa.string()))
    return known.combine_chunks()


def shard_part(known: pa.Table, own_ids: Sequence[str], spectra: Path, rejected: Path) -> Part:
    """A cleaned shard as a part of a catalogue.

    known: of :func:`shard_stars`; spectra, rejected: Parquet of ``tables.spectra_schema`` and ``tables.REJECTED``.
    How much of the range had no good pixel is not in a cleaned spectrum, and so not known here.
    Raises StarglotError unless every selected spectrum is in one of the two, once, and no other.
    """
    obsids = known["obsid"].to_pylist()
    masked = pq.read_table(spectra, columns=["obsid", "n_masked"])
    lost = pq.read_table(rejected, columns=["obsid", "reason"])
    cleaned = masked["obsid"].to_pylist()
    reasons: dict[int, str] = dict(zip(lost["obsid"].to_pylist(), lost["reason"].to_pylist(), strict=True))
    if [obsid for obsid in obsids if obsid not in reasons] != cleaned or not set(reasons) <= set(obsids):
        raise StarglotError(
            "cleaned and rejected spectra of a shard are not those that were selected",
            where=f"{spectra}: {len(cleaned)} cleaned, {len(reasons)} rejected, {len(obsids)} selected",
            todo="clean it again: remove the file, then snakemake clean",
        )
    pixels = masked["n_masked"].take(pc.index_in(known["obsid"], value_set=masked["obsid"].combine_chunks()))
    snr = known["snr"].to_numpy(zero_copy_only=False).astype(float)
    return Part(
        known.append_column("n_masked", pixels),
        columns_of_survey(own_ids),
        known["class"].to_pylist(),
        snr,
        np.full(len(known), np.nan),
        [reasons.get(obsid) for obsid in obsids],
        _flux(spectra),
    )


def columns_of_survey(own_ids: Sequence[str]) -> list[Column]:
    """The columns of a catalogue before the answers, with the survey's own names of a star."""
    own = [Column(name, pa.string(), "", "meta.id", "the survey's own name of the star") for name in own_ids]
    return [*OF_SURVEY[:3], *own, *OF_SURVEY[3:]]


def _flux(spectra: Path) -> Iterator[np.ndarray]:
    with pq.ParquetFile(spectra) as file:
        for batch in file.iter_batches(batch_size=BLOCK, columns=["flux"]):
            yield flux_matrix(pa.Table.from_batches([batch]))
