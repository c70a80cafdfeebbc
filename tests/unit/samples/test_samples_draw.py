"""Selection, splits and samples: nested, balanced, stable, and no star in two splits."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import refused
from starglot.config.root import Split
from starglot.config.tasks import Task
from starglot.formats.counts import Counts
from starglot.labels import CLASSES
from starglot.samples.draw import draw
from starglot.samples.select import select
from starglot.samples.split import split_of, training_stars
from starglot.samples.table_1 import valid_label_counts
from starglot.tables import SAMPLE, write_parquet
from tasks import task_of

SPLIT = Split()


def task(balanced: bool = True, shortage: str = "error", **sizes: int | None) -> Task:
    return task_of("atmosphere", ["teff", "logg", "feh"], balanced=balanced, shortage=shortage, sizes=sizes)


def labels(rows: int, seed: int = 0, start: int = 0) -> pa.Table:
    """Spectra of about rows / 2 stars; a star keeps its class."""
    rng = np.random.default_rng(seed)
    star = rng.integers(0, max(1, rows // 2), rows) + 10_000 * seed
    return pa.table(
        {
            "obsid": pa.array(np.arange(start, start + rows)),
            "star_id": pa.array([f"gaia:{k}" for k in star], pa.string()),
            "class": pa.array([CLASSES[k % 5] for k in star], pa.string()),
        }
    )


def shuffled(table: pa.Table, seed: int = 1) -> pa.Table:
    return table.take(pa.array(np.random.default_rng(seed).permutation(len(table))))


@settings(max_examples=12)
@given(seed=st.integers(0, 5), small=st.integers(5, 150), more=st.integers(0, 150), balanced=st.booleans())
def test_sizes_are_nested_balanced_and_split_by_star(seed: int, small: int, more: int, balanced: bool) -> None:
    table = labels(600, seed)
    asked = task(balanced, "take_all", small=small, large=small + more, everything=None)
    samples = {size: draw(table, asked, size, SPLIT, 7) for size in asked.sample.sizes}
    rows = {size: sample.to_pylist() for size, (sample, _) in samples.items()}
    ids = {size: {row["obsid"] for row in rows[size]} for size in rows}
    assert ids["small"] <= ids["large"] <= ids["everything"] == set(range(600))
    for size, (sample, manifest) in samples.items():
        assert sample.schema == SAMPLE and sample["obsid"].to_pylist() == sorted(ids[size])
        splits: dict[str, str] = {}
        for row in rows[size]:
            assert splits.setdefault(row["star_id"], row["split"]) == row["split"]
        counts = Counter(row["class"] for row in rows[size])
        assert {letter: entry["spectra"] for letter, entry in manifest["groups"].items()} == {
            letter: counts[letter] for letter in CLASSES
        }
        assert manifest["spectra"] == len(rows[size]) and manifest["stars"] == len(splits)
        wanted = asked.sample.sizes[size]
        if wanted is not None and not manifest["shortages"]:
            assert len(rows[size]) == wanted
            if balanced:
                assert max(counts.values()) - min(counts.values()) <= 1
    assert draw(shuffled(table), asked, "small", SPLIT, 7)[0].equals(samples["small"][0])


@pytest.mark.parametrize("n", [40, 101, 400])
def test_strata_have_their_share_of_every_size_and_split(n: int) -> None:
    table = labels(2000, 3)
    star = np.unique(table["star_id"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    feh = np.where(star % 9 == 4, -1.5, np.where(star % 9 == 5, np.nan, 0.1))
    table = table.append_column("feh", pa.array(feh, from_pandas=True))
    sample = {"balanced": False, "groups": None, "strata": {"label": "feh", "edges": [-1.0]}}
    stratified = task_of("abundances", ["feh"], sizes={"n": n, "all": None}, **sample)
    poor = {obsid for obsid, value in zip(table["obsid"].to_pylist(), feh, strict=True) if value < -1}
    (few, _), (every, _) = (draw(table, stratified, size, SPLIT, 7) for size in ("n", "all"))
    assert len(few) == n and set(few["obsid"].to_pylist()) <= set(every["obsid"].to_pylist())
    for split in ("train", "val", "test"):
        for among in (poor, set(table["obsid"].to_pylist()) - poor):
            share, number = (
                sum(
                    s == split and o in among
                    for o, s in zip(*(t[c].to_pylist() for c in ("obsid", "split")), strict=True)
                )
                for t in (every, few)
            )
            assert abs(number - share * n / len(every)) <= 2  # two parts at most: with the label, and without


def test_another_seed_draws_other_stars() -> None:
    first, second = (
        set(draw(labels(2000), task(n=200), "n", SPLIT, seed)[0]["star_id"].to_pylist()) for seed in (1, 2)
    )
    assert len(first & second) < 0.4 * len(first)


def test_a_star_s_visits_are_drawn_together() -> None:
    table = labels(2000)
    sample, _ = draw(table, task(n=500), "n", SPLIT, 1)
    visits = Counter(table["star_id"].to_pylist())
    partly = [star for star, n in Counter(sample["star_id"].to_pylist()).items() if n < visits[star]]
    assert len(partly) <= len(CLASSES), "only the last star of a class may be cut"


def test_another_plate_changes_little() -> None:
    table, plate = labels(4000), labels(200, seed=9, start=4000)
    asked = task(n=1000)
    before = set(draw(table, asked, "n", SPLIT, 1)[0]["obsid"].to_pylist())
    after = set(draw(pa.concat_tables([table, plate]), asked, "n", SPLIT, 1)[0]["obsid"].to_pylist())
    arrived = {obsid for obsid in after if obsid >= 4000}
    assert len(before - after) == len(arrived) <= 100, "each newcomer displaces one"
    assert 20 < len(arrived)


def test_shortage_is_an_error_or_is_told() -> None:
    table = labels(100).filter(pc.not_equal(labels(100)["class"], "M"))
    with refused("'n'", "M: 0 of 4", todo=("select.margin", "shortage: take_all")):
        draw(table, task(n=20), "n", SPLIT, 1)
    sample, manifest = draw(table, task(shortage="take_all", n=20), "n", SPLIT, 1)
    assert manifest["shortages"] == {"M": {"wanted": 4, "available": 0}} and len(sample) == 16
    with refused(1000, where="cleaned spectra"):
        draw(table, task(balanced=False, n=1000), "n", SPLIT, 1)
    with refused("'m'", where="sizes", allowed="n", todo="sizes"):
        draw(table, task(n=20), "m", SPLIT, 1)


def test_split_fractions_folds_and_independence() -> None:
    stars = [f"gaia:{k}" for k in range(20_000)]
    splits, folds = split_of(stars, SPLIT, 5)
    for name, fraction in (("train", 0.72), ("val", 0.08), ("test", 0.20)):
        assert (splits == name).mean() == pytest.approx(fraction, abs=0.012)
    assert folds.dtype == np.int8 and set(folds) == set(range(5))
    assert (folds[splits == "test"] == 0).mean() == pytest.approx(0.2, abs=0.03)
    some, some_folds = split_of(stars[5000:5010][::-1], SPLIT, 5)
    assert list(some[::-1]) == list(splits[5000:5010]) and list(some_folds[::-1]) == list(folds[5000:5010])
    assert (split_of(stars, SPLIT, 6)[0] != splits).any()
    # the first drawn are split as all are
    sample, _ = draw(labels(20_000), task(n=4000), "n", SPLIT, 5)
    assert np.mean(np.array(sample["split"].to_pylist()) == "train") == pytest.approx(0.72, abs=0.04)


def test_training_stars_of_several_samples(tmp_path: Path) -> None:
    paths = []
    for seed in (1, 2):
        sample, _ = draw(labels(200, seed), task(n=None), "n", SPLIT, 3)
        paths.append(tmp_path / f"{seed}.parquet")
        write_parquet(sample, paths[-1])
    seen = training_stars(paths)
    stars = sorted({star for seed in (1, 2) for star in labels(200, seed)["star_id"].to_pylist()})
    assert seen == {star for star, name in zip(stars, split_of(stars, SPLIT, 3)[0], strict=True) if name == "train"}


# ---------------------------------------------------------------- select


def candidates_of(table: pa.Table, snr: float | None = 10.0, **columns: Any) -> pa.Table:
    rows = len(table)
    full = {
        "teff": pa.array(np.full(rows, 5000.0)),
        "logg": pa.array(np.full(rows, 4.0)),
        "feh": pa.array(np.full(rows, 0.0)),
        "shard": pa.array(["56619-P"] * rows),
        "obsdate": pa.array(["2013-11-23"] * rows),
        "spid": pa.array(np.ones(rows, np.int16)),
        "fiberid": pa.array(np.ones(rows, np.int16)),
        "snr_r": pa.array([snr] * rows, pa.float64()),
        "snr_i": pa.array([snr] * rows, pa.float64()),
    } | columns
    for name, values in full.items():
        table = table.append_column(name, values)
    return table


def needs(count: int | None, *labels: str) -> list[dict[str, Any]]:
    """One task that needs as many spectra of every class, with any of Teff, log g and [Fe/H]."""
    return [{"labels": labels or ("teff", "logg", "feh"), "counts": dict.fromkeys(CLASSES, count)}]


def picked(
    table: pa.Table,
    wanted: int | None,
    matched: Set[str] = frozenset(),
    margin: float = 1.2,
    counts: Counts | None = None,
) -> set[int]:
    largest = needs(wanted)
    rows = select(table, largest, matched, {"r": 2.0, "i": 2.0}, margin, seed=7, counts=counts)
    assert rows["obsid"].to_pylist() == sorted(rows["obsid"].to_pylist())
    assert select(shuffled(table), largest, matched, {"r": 2.0, "i": 2.0}, margin, seed=7).equals(rows)
    return set(rows["obsid"].to_pylist())


@settings(max_examples=20)
@given(seed=st.integers(0, 5), per_class=st.integers(1, 60), lost=st.floats(0, 0.1))
def test_what_is_selected_holds_every_sample(seed: int, per_class: int, lost: float) -> None:
    """Drawing from the selected spectra gives what drawing from the whole catalogue would, files lost or not."""
    table = labels(1500, seed)
    chosen = picked(candidates_of(table), per_class)
    keep = pa.array(np.random.default_rng(seed).random(len(table)) >= lost)
    asked = task(shortage="take_all", n=5 * per_class)
    whole, _ = draw(table.filter(keep), asked, "n", SPLIT, 7)
    selected = pc.is_in(table["obsid"], value_set=pa.array(sorted(chosen)))
    part, manifest = draw(table.filter(pc.and_(selected, keep)), asked, "n", SPLIT, 7)
    if not manifest["shortages"]:
        assert part.equals(whole)
    assert lost > 0 or not manifest["shortages"]


@pytest.mark.parametrize(("margin", "expected"), [(1.0, 20), (1.2, 24), (1.23, 25), (50.0, 60)])
def test_margin_leaves_room_for_lost_files(margin: float, expected: int) -> None:
    single = labels(300).set_column(1, "star_id", pa.array([f"gaia:{k}" for k in range(300)]))
    single = single.set_column(2, "class", pa.array([CLASSES[k % 5] for k in range(300)]))
    assert 5 * expected <= len(picked(candidates_of(single), 20, margin=margin)) <= 1.25 * 5 * expected


def test_the_stars_of_a_new_plate_push_out_nobody() -> None:
    """The cut moves in steps, so that a plate more leaves the rows of the others, and their shards, as they are."""
    table = candidates_of(labels(6000))
    counts = needs(100)

    def chosen(rows: pa.Table) -> set[int]:
        return set(select(rows, counts, set(), {"r": 2.0}, 1.2, seed=7)["obsid"].to_pylist())

    before = chosen(table.slice(0, 5900))
    after = [chosen(pa.concat_tables([table.slice(0, 5900), table.slice(at, 10)])) for at in range(5900, 6000, 10)]
    assert sum(before <= each for each in after) >= 9
    assert any(before < each for each in after)


def test_cuts_matches_and_visits() -> None:
    table = labels(50)
    star = table["star_id"].to_pylist()
    assert picked(candidates_of(table), None) == set(range(50))
    assert picked(candidates_of(table), 0, {star[3]}) == {k for k in range(50) if star[k] == star[3]}
    low = pa.array([1.9 if k % 2 else 2.0 for k in range(50)])
    assert picked(candidates_of(table, snr_i=low), None) == set(range(0, 50, 2))
    none = pa.array([None if k == 4 else 50.0 for k in range(50)])
    assert 4 not in picked(candidates_of(table, snr_r=none), None)
    unlabelled = pa.nulls(50, pa.float64())
    bare = candidates_of(table, teff=unlabelled, logg=unlabelled, feh=unlabelled)
    assert picked(bare, None, {star[3]}) == {k for k in range(50) if star[k] == star[3]}, "labelled elsewhere"


def test_each_task_gets_the_stars_that_have_its_labels() -> None:
    """A label that few stars have is not drowned by one that all have."""
    table = labels(600)
    rare = pa.array([float(k) if k % 10 == 0 else None for k in range(600)])
    rows = candidates_of(table).append_column("redshift", rare)
    wanted = [*needs(10), {"labels": ["redshift"], "counts": {"all": 20}}]
    chosen = select(rows, wanted, set(), {}, 1.0, seed=7)
    assert len(chosen) - chosen["redshift"].null_count >= 20
    assert len(select(rows, needs(10), set(), {}, 1.0, seed=7)) < len(chosen) < 600


def test_an_empty_selection_and_an_absent_band_are_errors() -> None:
    table = candidates_of(labels(20), snr=1.0)
    with refused(todo=("snr_min", "run")):
        select(table, needs(5), set(), {"r": 2.0}, 1.2, 7)
    with refused(where="snr_min.i", todo="snr_min"):
        select(candidates_of(labels(20), snr=None), needs(5), set(), {"i": 2.0}, 1.2, 7)


def test_rows_that_are_not_selected_are_counted_by_what_they_lack(caplog: pytest.LogCaptureFixture) -> None:
    rows = labels(50)
    snr = pa.array([None if k < 3 else 1.0 if k < 10 else 50.0 for k in range(50)])
    counts = Counts()
    assert picked(candidates_of(rows, snr_r=snr), None, counts=counts) == set(range(10, 50))
    assert {reason: one.rows for reason, one in counts.left_out.items()} == {"snr_too_low": 10}
    assert (counts.rows, counts.rows_out) == (50, 40)
    of_one_class = pa.array([None if letter == "M" else 50.0 for letter in rows["class"].to_pylist()])
    with caplog.at_level(logging.WARNING):
        picked(candidates_of(rows, snr_r=of_one_class), None)
    assert any("class M" in text and "band r" in text for text in caplog.messages)


def test_table_1_counts_valid_labels_by_class() -> None:
    table = pa.table(
        {
            "obsid": [1, 2, 3],
            "star_id": ["a", "a", "b"],
            "class": ["G", "G", "M"],
            "mg_fe": pa.array([0.1, None, 0.2]),
            "mg_fe_err": pa.array([0.1, None, None]),
            "c_fe": pa.array([None, None, 0.0]),
        }
    )
    rows = {row.pop("class"): row for row in valid_label_counts(table).to_pylist()}
    assert list(rows) == list(CLASSES)
    assert rows["G"] == {"spectra": 2, "stars": 1, "c_fe": 0, "mg_fe": 1}
    assert rows["M"] == {"spectra": 1, "stars": 1, "c_fe": 1, "mg_fe": 1}
    assert rows["A"] == {"spectra": 0, "stars": 0, "c_fe": 0, "mg_fe": 0}


def test_too_few_stars_for_what_is_asked_are_said(caplog: pytest.LogCaptureFixture) -> None:
    def said(rows: int) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            _, manifest = draw(labels(rows), task(balanced=False, n=None), "n", SPLIT, 1)
        return [text for text in caplog.messages if str(manifest["splits"]["train"]["spectra"]) in text]

    assert any("training spectra" in text for text in said(25))
    assert not said(800)
