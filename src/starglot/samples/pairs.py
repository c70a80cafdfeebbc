"""Pairs: of each star that two views have in common, one spectrum in either."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.config.root import Split
from starglot.errors import StarglotError
from starglot.formats.columns import floats
from starglot.samples.split import split_of
from starglot.surveys.index import require_shards
from starglot.tables import PAIR, SPLITS

log = logging.getLogger(__name__)

#: Why a selected star is in no pair, in the order in which this is asked.
UNPAIRED: Mapping[str, str] = {
    "not_cleaned": "none of its spectra could be cleaned",
    "no_match": "the other survey's catalogue does not have it",
    "other_not_cleaned": "the other survey has no cleaned spectrum of it",
    "two_splits": "its ids in the two surveys differ (it was matched by position) and fall into different splits",
}
_BANDS = "ugriz"


@dataclass(frozen=True)
class Side:
    """One of the two views.

    view: its name; candidates: the survey's selected catalogue rows (obsid, star_id, S/N by band); cleaned: obsid,
    shard and n_masked of every cleaned spectrum.
    """

    view: str
    candidates: pa.Table
    cleaned: pa.Table


def read_side(view: str, index: Path, candidates: str | Path) -> Side:
    """A view from the workflow's files; index: of its cleaned spectra, in their folder.

    Raises StarglotError when a file that the index lists is not there.
    """
    parts = []
    for shard in require_shards(index, index.parent):
        rows = pq.read_table(index.parent / f"{shard}.parquet", columns=["obsid", "n_masked"])
        rows = rows.replace_schema_metadata()  # of this shard alone
        parts.append(rows.append_column("shard", pa.array([shard] * len(rows), pa.string())))
    selected = pq.read_table(candidates, columns=["obsid", "star_id", *(f"snr_{band}" for band in _BANDS)])
    return Side(view, selected, pa.concat_tables(parts).combine_chunks())


def pair(first: Side, second: Side, match: pa.Table, split: Split, seed: int) -> tuple[pa.Table, dict[str, Any]]:
    """The pairs (schema ``tables.PAIR``, sorted by obsid), and an account of every star and spectrum of both views.

    match: star_id of the first survey, other_star_id of the second, method; of :func:`starglot.samples.match.match`.

    A star is in one pair at most: in a batch of pairs a second spectrum of it would count as another star's.  Of
    several spectra of a star in a view the one with the highest S/N is taken (mean of the bands that the catalogue
    gives; one without any comes last), then that with the fewest masked pixels, then the lowest obsid.  Star ids are
    the same in all surveys where both know the Gaia DR3 id; a star that was matched by position has two ids, and is
    left out where these are in different splits, so that no training has seen either side of a test pair.

    Raises StarglotError when a cleaned spectrum is none of the selected rows, and when there is no pair at all.
    """
    best = [_best(side) for side in (first, second)]
    partners = match.group_by(["star_id", "other_star_id", "method"]).aggregate([])
    there = (partners["star_id"].combine_chunks(), partners["other_star_id"].combine_chunks())
    sides = [_stars(side, best, there, place, split, seed) for place, side in enumerate((first, second))]
    both = list(zip((first, second), sides, strict=True))
    stars, partner, reason = sides[0]
    paired = pc.equal(reason, "")
    rows = best[0].take(pc.index_in(stars.filter(paired), value_set=best[0]["star_id"].combine_chunks()))
    others = best[1].take(pc.index_in(partner.filter(paired), value_set=best[1]["star_id"].combine_chunks()))
    if not len(rows):
        raise StarglotError(
            f"no star has a spectrum in both {first.view} and {second.view}",
            where="; ".join(f"{side.view}: {_reasons(why)}" for side, (_, _, why) in both),
            todo="check that both catalogues have Gaia ids of the release that `gaia_release` says, and positions",
        )
    splits = split_of(rows["star_id"].to_pylist(), split, seed)[0]
    table = pa.table(
        {
            **{name: rows[name] for name in ("star_id", "obsid", "shard")},
            **{f"other_{name}": others[name] for name in ("star_id", "obsid", "shard")},
            "split": pa.array(splits.tolist(), pa.string()),
        }
    )
    table = table.select(PAIR.names).cast(PAIR).sort_by("obsid").combine_chunks()
    methods = partners.filter(pc.is_in(partners["star_id"], value_set=table["star_id"].combine_chunks()))["method"]
    manifest = {
        "views": [first.view, second.view],
        "pairs": len(table),
        "splits": {name: int(pc.sum(pc.equal(table["split"], name)).as_py()) for name in SPLITS},
        "matched_by": _reasons(methods.combine_chunks()),
        "sides": [
            _account(side, spectra, why, len(table)) for (side, (_, _, why)), spectra in zip(both, best, strict=True)
        ],
        "split": split.model_dump(),
        "seed": seed,
    }
    log.info("%d pairs of %s and %s: %s", len(table), first.view, second.view, manifest["splits"])
    return table, manifest


def _best(side: Side) -> pa.Table:
    """star_id, obsid, shard: the best cleaned spectrum of each star that has any, by star_id."""
    at = pc.index_in(side.cleaned["obsid"], value_set=side.candidates["obsid"].combine_chunks())
    if at.null_count:
        unknown = side.cleaned.filter(pc.is_null(at))
        raise StarglotError(
            f"{len(unknown)} cleaned spectra of {side.view} are none of the selected rows",
            where=f"first: obsid {unknown['obsid'][0]} of shard {unknown['shard'][0]}",
            todo="run: snakemake inventory clean",
        )
    rows = side.candidates.take(at)
    snr = np.stack([floats(rows[f"snr_{band}"]) for band in _BANDS])
    known = np.isfinite(snr)
    mean = np.where(known, snr, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    order = np.lexsort(
        (
            side.cleaned["obsid"].to_numpy(),
            side.cleaned["n_masked"].to_numpy(),
            np.where(known.any(axis=0), -mean, np.inf),
        )
    )
    table = pa.table({"star_id": rows["star_id"], **{name: side.cleaned[name] for name in ("obsid", "shard")}})
    table = table.take(pa.array(order)).combine_chunks()
    codes = table["star_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    return table.take(pa.array(np.unique(codes, return_index=True)[1])).sort_by("star_id").combine_chunks()


def _stars(
    side: Side, best: list[pa.Table], there: tuple[pa.Array, pa.Array], place: int, split: Split, seed: int
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """(selected stars, their ids in the other survey or null, why they are in no pair or '').

    best: of both views; there: ids of the matched stars in both surveys; place: of the side among these, 0 or 1.
    """
    stars = pc.unique(side.candidates["star_id"]).sort()
    at = pc.index_in(stars, value_set=there[place])
    partner = there[1 - place].take(at)
    has = [table["star_id"].combine_chunks() for table in (best[place], best[1 - place])]
    own, theirs = (split_of(ids.fill_null("").to_pylist(), split, seed)[0] for ids in (stars, partner))
    obstacles = {
        "not_cleaned": pc.invert(pc.is_in(stars, value_set=has[0])),
        "no_match": pc.is_null(partner),
        "other_not_cleaned": pc.invert(pc.is_in(partner, value_set=has[1])),
        "two_splits": pa.array(own != theirs),
    }
    met = [obstacles[name].to_numpy(zero_copy_only=False) for name in UNPAIRED]
    reason = pa.array(np.select(met, list(UNPAIRED), "").tolist(), pa.string())
    return stars, partner, reason


def _reasons(names: pa.Array) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(names).to_pylist() if entry["values"]}


def _account(side: Side, best: pa.Table, reason: pa.Array, pairs: int) -> dict[str, Any]:
    """Selected stars are paired or unpaired; cleaned spectra are paired, of an unpaired star, or not its best."""
    found = _reasons(reason)
    return {
        "view": side.view,
        "stars": len(reason),
        "paired": pairs,
        "unpaired": {name: found.get(name, 0) for name in UNPAIRED},
        "spectra": {
            "cleaned": len(side.cleaned),
            "paired": pairs,
            "star_is_unpaired": len(best) - pairs,
            "star_has_a_better_one": len(side.cleaned) - len(best),
        },
    }
