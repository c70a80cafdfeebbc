"""Pairs of views: every star and spectrum is accounted for, and no star is in two splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import refused
from starglot.config.root import Split
from starglot.samples.match import match, one_row_a_star
from starglot.samples.pairs import UNPAIRED, Side, pair, read_side
from starglot.samples.split import split_of
from starglot.samples.star_ids import star_ids
from starglot.tables import PAIR, spectra_table, write_parquet

SPLIT, SEED, VIEWS = Split(), 7, ("lamost/blue", "gaia_xp/xp")
COLUMNS = {
    **dict.fromkeys(("gaia_source_id", "obsdate", "class"), pa.string()),
    "obsid": pa.int64(),
    **dict.fromkeys(("ra", "dec", *(f"snr_{band}" for band in "ugriz")), pa.float64()),
}


def catalog(rows: list[dict[str, Any]], survey: str) -> pa.Table:
    table = pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in COLUMNS.items()})
    return table.append_column("star_id", star_ids(table, survey=survey, own_ids=()))


def cleaned(rows: list[dict[str, Any]]) -> pa.Table:
    good = [row for row in rows if row.get("clean", True)]
    return pa.table(
        {
            "obsid": pa.array([row["obsid"] for row in good], pa.int64()),
            "shard": pa.array([f"s{row['obsid'] % 3}" for row in good], pa.string()),
            "n_masked": pa.array([row.get("n_masked", 0) for row in good], pa.int32()),
        }
    )


def matched(first: pa.Table, second: pa.Table) -> pa.Table:
    return match(first, one_row_a_star(second, [], "dr3"), "other_star_id", "dr3", 3.0)


def paired(first: list[dict[str, Any]], second: list[dict[str, Any]], picks=(None, None)):
    """Pairs of two surveys; picks: places of the candidates among the rows of either, None for all."""
    catalogs = [catalog(first, "lamost"), catalog(second, "gaia_xp")]
    sides = []
    for view, rows, table, pick in zip(VIEWS, (first, second), catalogs, picks, strict=True):
        at = pick or list(range(len(rows)))
        sides.append(Side(view, table.take(pa.array(at, pa.int64())), cleaned([rows[i] for i in at])))
    return pair(*sides, matched(*catalogs), SPLIT, SEED)


def star(number: int, obsid: int, gaia: bool = True, **others: Any) -> dict[str, Any]:
    """A visit of a star, a degree from the next."""
    place = {"ra": float(number % 360), "dec": float(number // 360)}
    return {"obsid": obsid, "gaia_source_id": str(number) if gaia else None, **place, **others}


visits = st.lists(
    st.tuples(st.integers(0, 25), st.booleans(), st.booleans(), st.integers(0, 3), st.sampled_from([None, 5.0, 9.0])),
    max_size=60,
)


def rows_of(drawn, start: int) -> list[dict[str, Any]]:
    ids = {}  # whether a star has a Gaia id is the star's own
    return [
        star(number, start + place, ids.setdefault(number, gaia), clean=clean, n_masked=masked, snr_g=snr)
        for place, (number, gaia, clean, masked, snr) in enumerate(drawn)
    ]


@settings(max_examples=60)
@given(first=visits, second=visits, data=st.data())
def test_every_star_and_spectrum_is_accounted_for(first, second, data) -> None:
    one, two = rows_of([(0, True, True, 0, None), *first], 100), rows_of([(0, True, True, 0, None), *second], 1000)
    picks = [
        sorted({0, *data.draw(st.sets(st.integers(0, len(rows) - 1)))}) if data.draw(st.booleans()) else None
        for rows in (one, two)
    ]
    table, about = paired(one, two, picks)
    assert table.schema == PAIR and table["obsid"].to_pylist() == sorted(table["obsid"].to_pylist())
    for place, (rows, at) in enumerate(zip((one, two), picks, strict=True)):
        prefix, mine = ("", "other_")[place], [rows[i] for i in at or range(len(rows))]
        said, ids = about["sides"][place], table[f"{prefix}obsid"].to_pylist()
        stars = catalog(rows, ("lamost", "gaia_xp")[place])
        star_of = dict(zip(stars["obsid"].to_pylist(), stars["star_id"].to_pylist(), strict=True))
        assert len(set(ids)) == len(ids) == len(set(table[f"{prefix}star_id"].to_pylist())) == about["pairs"]
        assert [star_of[obsid] for obsid in ids] == table[f"{prefix}star_id"].to_pylist()
        assert {*ids} <= {row["obsid"] for row in mine if row["clean"]}
        assert (
            said["stars"]
            == len({star_of[row["obsid"]] for row in mine})
            == said["paired"] + sum(said["unpaired"].values())
        )
        assert list(said["unpaired"]) == list(UNPAIRED)
        counts = said["spectra"]
        assert counts.pop("cleaned") == sum(row["clean"] for row in mine) == sum(counts.values())
        assert (split_of(table[f"{prefix}star_id"].to_pylist(), SPLIT, SEED)[0] == table["split"].to_pylist()).all()
    # By the sky, whatever the ids: both sides of a pair are one star, and no star that could be paired is missed.
    number = {row["obsid"]: row["ra"] for row in (*one, *two)}
    assert [number[o] for o in table["obsid"].to_pylist()] == [number[o] for o in table["other_obsid"].to_pylist()]
    has = [
        {row["ra"] for row in (rows[i] for i in at or range(len(rows))) if row["clean"]}
        for rows, at in zip((one, two), picks, strict=True)
    ]
    unlike = {side["unpaired"]["two_splits"] for side in about["sides"]}
    assert unlike == {len(has[0] & has[1]) - about["pairs"]}
    assert about["pairs"] == sum(about["splits"].values()) == sum(about["matched_by"].values())


def test_the_best_spectrum_of_a_star_is_paired() -> None:
    """By S/N, then by masked pixels, then by obsid; one of unknown S/N comes last."""
    one = [
        star(1, 1, snr_g=10.0, snr_r=30.0),
        star(1, 2, snr_g=25.0),  # a mean of 25 over the one band known
        star(1, 3),
        star(2, 4, n_masked=5),
        star(2, 5, n_masked=2),
        star(2, 6, n_masked=2),
        star(3, 7, snr_r=50.0, clean=False),
        star(3, 8, snr_r=4.0),
    ]
    table, about = paired(one, [star(n, 100 + n) for n in (1, 2, 3)])
    assert table["obsid"].to_pylist() == [2, 5, 8]
    assert about["sides"][0]["spectra"] == {
        "cleaned": 7, "paired": 3, "star_is_unpaired": 0, "star_has_a_better_one": 4
    }  # fmt: skip


def test_each_star_is_left_out_for_its_own_reason() -> None:
    ids = [f"gaia:{n}" for n in range(10, 60)]
    positions = [f"pos:{n:.5f}+0.00000" for n in range(10, 60)]
    splits = [split_of(names, SPLIT, SEED)[0] for names in (ids, positions)]
    apart = 10 + int(np.flatnonzero(splits[0] != splits[1])[0])
    together = 10 + int(np.flatnonzero(splits[0] == splits[1])[0])
    one = [
        star(1, 1),
        star(2, 2, clean=False),
        star(3, 3),
        star(4, 4),
        star(apart, 5, gaia=False),
        star(together, 6, gaia=False),
    ]
    two = [star(1, 11), star(2, 12), star(4, 14, clean=False), star(apart, 15), star(together, 16), star(9, 19)]
    table, about = paired(one, two)
    assert table["obsid"].to_pylist() == [1, 6] and table["other_obsid"].to_pylist() == [11, 16]
    assert table["star_id"][1] != table["other_star_id"][1] and about["matched_by"] == {"gaia": 1, "position": 1}
    first, second = (side["unpaired"] for side in about["sides"])
    assert first == {"not_cleaned": 1, "no_match": 1, "other_not_cleaned": 1, "two_splits": 1}
    assert second == {"not_cleaned": 1, "no_match": 1, "other_not_cleaned": 1, "two_splits": 1}


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    drawn = zip(rng.integers(0, 30, 80), rng.integers(1, 4, 80), strict=True)
    one = [star(int(number), k, snr_g=float(snr)) for k, (number, snr) in enumerate(drawn)]
    two = [star(n, 1000 + n) for n in range(40)]
    table, about = paired(one, two)
    again, said = paired(one[::-1], two[::-1])
    assert again.equals(table) and said == about


def test_two_views_without_a_star_in_common_are_refused() -> None:
    with refused("lamost/blue", "gaia_xp/xp", where=("no_match", 1)):
        paired([star(1, 1)], [star(2, 12)])


def test_a_spectrum_that_was_not_selected_is_refused() -> None:
    rows = [star(1, 1)]
    side = Side("lamost/blue", catalog(rows, "lamost"), cleaned([star(1, 1), star(1, 2)]))
    other = Side("gaia_xp/xp", catalog(rows, "gaia_xp"), cleaned(rows))
    with refused(1, where=(2, "s2"), todo="snakemake"):
        pair(side, other, matched(side.candidates, other.candidates), SPLIT, SEED)


def test_a_view_is_read_from_all_its_shards(tmp_path) -> None:
    """Each with metadata of its own; of candidates no more than is needed."""
    rows = [star(1, 1, snr_g=5.0), star(2, 2), star(3, 3)]
    lines = ["shard\tspectra\trejected"]
    for shard, some in (("a", rows[:2]), ("b", rows[2:])):
        ids = [row["obsid"] for row in some]
        table = spectra_table(ids, [f"gaia:{n}" for n in ids], np.ones((len(ids), 4), np.int16), ids)
        write_parquet(table, tmp_path / f"{shard}.parquet", {"shard": shard})
        lines.append(f"{shard}\t-\t-")
    (tmp_path / "index.tsv").write_text("\n".join(lines) + "\n")
    write_parquet(catalog(rows, "lamost"), tmp_path / "candidates.parquet")
    side = read_side("lamost/blue", tmp_path / "index.tsv", tmp_path / "candidates.parquet")
    assert side.cleaned.to_pydict() == {"obsid": [1, 2, 3], "n_masked": [1, 2, 3], "shard": ["a", "a", "b"]}
    assert side.candidates["star_id"].to_pylist() == ["gaia:1", "gaia:2", "gaia:3"] and side.view == "lamost/blue"
    (tmp_path / "b.parquet").unlink()
    with refused(where=tmp_path / "b.parquet", todo="snakemake"):
        read_side("lamost/blue", tmp_path / "index.tsv", tmp_path / "candidates.parquet")


@pytest.mark.parametrize("place", [0, 1])
def test_the_account_names_the_views(place: int) -> None:
    _, about = paired([star(1, 1)], [star(1, 12)])
    assert about["views"][place] == about["sides"][place]["view"] == VIEWS[place]
