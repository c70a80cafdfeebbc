"""Residual tables from prediction tables: known answers, damaged input, order and repetition."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from prediction_tables import predictions, with_rows

from refusals import refused
from starglot.evaluation.cells import STATISTICS
from starglot.evaluation.residuals import ALL, COUNTS, KEYS, residual_table
from starglot.evaluation.summary import answer_counts, class_confusion, headline_table, table_1
from starglot.labels import ATMOSPHERE_NAMES, CLASSES
from starglot.statuses import STATUSES
from starglot.tables import write_parquet

LABELS = ATMOSPHERE_NAMES


def table_of(tmp_path, table, labels=LABELS, replicates=40, **kwargs):
    write_parquet(table, tmp_path / "p.parquet")
    return residual_table(
        {("llm-x", "1e5", "test"): tmp_path / "p.parquet"},
        labels,
        task="t",
        groups=CLASSES,
        replicates=replicates,
        **kwargs,
    )


def at(frame, label, letter):
    return frame[(frame["label"] == label) & (frame["class"] == letter)].iloc[0]


def test_every_cell_against_pandas(tmp_path):
    table = predictions(LABELS, failed=3)
    frame = table_of(tmp_path, table)
    assert list(frame.columns[: len(KEYS) + len(COUNTS)]) == [*KEYS, *COUNTS]
    assert len(frame) == len(LABELS) * 6
    rows = table.to_pandas()
    rows["residual"] = rows["value"] - rows["truth"]
    for label in LABELS:
        for letter in (ALL, *CLASSES):
            here = rows[(rows["label"] == label) & ((rows["class"] == letter) | (letter == ALL))]
            used = here.dropna(subset=["residual"])
            got = at(frame, label, letter)
            assert got["n"] == len(used) and got["n_unparsable"] == len(here) - len(used)
            assert got["n_stars"] == used["star_id"].nunique()
            assert got["mean"] == pytest.approx(used["residual"].mean())
            assert got["std"] == pytest.approx(used["residual"].std(ddof=0))
            assert got["mae"] == pytest.approx(used["residual"].abs().mean())
            assert got["rmse"] ** 2 == pytest.approx(got["mean"] ** 2 + got["std"] ** 2)
            for name in ("mean", "rmse", "mae", "coverage_68"):
                assert got[f"{name}_lo"] <= got[name] <= got[f"{name}_hi"]


def test_the_order_of_rows_and_the_run_change_nothing(tmp_path):
    table = predictions(LABELS)
    shuffled = table.take(np.random.default_rng(1).permutation(len(table)))
    pd.testing.assert_frame_equal(table_of(tmp_path, table), table_of(tmp_path, shuffled), check_exact=True)


def test_rows_without_truth_are_counted_and_in_no_statistic(tmp_path):
    table = predictions(("teff",))
    changed = with_rows(table, truth={0: None, 7: None}, value={0: 1e6})
    got = at(table_of(tmp_path, changed, ("teff",)), "teff", ALL)
    assert (got["n"], got["n_no_truth"]) == (len(table) - 2, 2)
    assert abs(got["mean"]) < 50


def test_an_answer_out_of_range_is_counted_and_in_no_statistic(tmp_path):
    table = with_rows(predictions(("teff",)), status={4: "out_of_range"}, value={4: 1e9})
    got = at(table_of(tmp_path, table, ("teff",)), "teff", ALL)
    assert got["n_unparsable"] == 1 and got["rmse"] < 500


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["truth", "value", "sigma"])
def test_nan_and_infinity_mark_their_cells_and_no_other(tmp_path, column, bad):
    table = with_rows(predictions(("teff", "logg")), **{column: {0: bad}})  # a star of class A, Teff
    frame = table_of(tmp_path, table, ("teff", "logg"))
    for letter in (ALL, "A"):
        got = at(frame, "teff", letter)
        assert got[list(STATISTICS)].isna().all() and "1 " in got["note"]
    assert np.isfinite(at(frame, "teff", "F")["std"]) and np.isfinite(at(frame, "logg", ALL)["std"])


def test_an_absent_class_and_an_absent_label_are_null_cells(tmp_path):
    table = predictions(("teff",))
    table = table.filter(pa.compute.not_equal(table["class"], "M"))
    frame = table_of(tmp_path, table, ("teff", "feh"))
    assert at(frame, "teff", "M")["note"] == "no spectra" and at(frame, "teff", "M")["n"] == 0
    assert frame[frame["label"] == "feh"][list(STATISTICS)].isna().all(axis=None)


def test_one_star_has_no_scatter_and_few_stars_no_interval(tmp_path):
    table = predictions(("teff",), stars=2, visits=2)  # class A: one star, class F: one star twice
    frame = table_of(tmp_path, table, ("teff",))
    twice = at(frame, "teff", "F")
    assert (twice["n"], twice["n_stars"]) == (2, 1)
    assert (
        np.isfinite(twice["rmse"])
        and np.isnan(twice["std"])
        and np.isnan(twice["r2"])
        and "one star" in twice["note"]
    )
    both = at(frame, "teff", ALL)
    assert np.isfinite(both["std"]) and np.isnan(both["std_lo"]) and "no interval" in both["note"]


def test_nothing_usable_is_said(tmp_path):
    table = predictions(("teff",), stars=10, failed=100)
    got = at(table_of(tmp_path, table, ("teff",)), "teff", ALL)
    assert got["note"] == "no usable answer" and got["n"] == 0 and np.isnan(got["mean"])


def test_stars_seen_in_training_are_counted(tmp_path):
    table = with_rows(predictions(("teff",)), seen={0: True, 1: True})
    assert at(table_of(tmp_path, table, ("teff",)), "teff", ALL)["n_seen"] == 2


def test_models_are_judged_on_the_same_unseen_stars(tmp_path):
    paths = {}
    for model, seen in (("llm-x", range(0, 20)), ("ridge", range(10, 30))):
        table = with_rows(predictions(("teff",), stars=50, visits=1), seen=dict.fromkeys(seen, True))
        paths[model, "1e5", "galah"] = tmp_path / f"{model}.parquet"
        write_parquet(table, paths[model, "1e5", "galah"])
    own = residual_table(paths, ["teff"], task="t", groups=CLASSES, replicates=5)
    assert list(own[own["class"] == ALL]["n"]) == [30, 30]
    same = residual_table(paths, ["teff"], task="t", groups=CLASSES, replicates=5, unseen_by_all=True)
    assert list(same[same["class"] == ALL]["n"]) == [20, 20] and list(same[same["class"] == ALL]["n_seen"]) == [
        30,
        30,
    ]


def repeated(table):
    return pa.concat_tables([table, table.slice(3, 1)])


@pytest.mark.parametrize(
    ("spoil", "named", "allowed"),
    [
        (repeated, (1,), ("obsid", "label")),
        (lambda t: t.slice(0, 0), (), ()),
        (lambda t: t.drop_columns(["truth", "status"]), ("truth", "status"), ("truth", "status")),
        (lambda t: with_rows(t, **{"class": {0: "Q"}}), ("class", "Q"), tuple(CLASSES)),
        (lambda t: with_rows(t, status={0: "fine"}), ("status", "fine"), STATUSES),
        (lambda t: with_rows(t, star_id={0: None}), (1, "star_id"), ()),
    ],
)
def test_a_damaged_table_is_one_clear_message(tmp_path, spoil, named, allowed):
    with refused(*named, where=tmp_path / "p.parquet", allowed=allowed):
        table_of(tmp_path, spoil(predictions(("teff",))), ("teff",))


def test_coverage_of_a_true_sigma_is_as_stated(tmp_path):
    got = at(table_of(tmp_path, predictions(("teff",), stars=2000, visits=1), ("teff",)), "teff", ALL)
    assert got["coverage_68"] == pytest.approx(0.68, abs=0.03) and got["coverage_95"] == pytest.approx(
        0.95, abs=0.015
    )
    none = at(table_of(tmp_path, predictions(("teff",), sigma=False), ("teff",)), "teff", ALL)
    assert np.isnan(none["coverage_68"]) and none["n_no_sigma"] == none["n"]


def test_the_headline_keeps_the_order_of_labels(tmp_path):
    paths = {}
    for model, error in (("llm-x", 1.0), ("ridge", 0.5), ("class-mean", 3.0)):
        paths[model, "all", "test"] = tmp_path / f"{model}.parquet"
        write_parquet(predictions(LABELS, error=error), paths[model, "all", "test"])
    headline = headline_table(residual_table(paths, LABELS, task="t", groups=CLASSES, replicates=30))
    assert list(headline["label"]) == [label for label in LABELS for _ in range(3)]
    assert list(headline["model"][:3]) == ["llm-x", "ridge", "class-mean"]


def test_table_1_is_turned_and_summed():
    counts = pa.table(
        {"class": list("AFGKM"), "spectra": [9, 8, 7, 6, 5], "c_fe": [1, 2, 3, 4, 5], "v_fe": [0, 0, 1, 0, 0]}
    )
    frame = table_1(counts)
    assert list(frame["label"]) == ["spectra with any", "c_fe", "v_fe"]
    assert list(frame.loc[1, [*CLASSES, "All"]]) == [1, 2, 3, 4, 5, 15]
    with refused(where=("spectra", "c_fe", "v_fe"), allowed="class"):
        table_1(counts.drop_columns(["class"]))


def test_classes_and_answers_are_counted_by_spectrum(tmp_path):
    table = with_rows(predictions(("teff", "logg"), stars=10, visits=1), class_pred={0: "F", 1: "F"})
    frame = class_confusion(table)
    first = frame[frame["class"] == "A"].iloc[0]
    assert (first["n"], first["A"], first["F"], first["share right"]) == (2, 1, 1, 0.5)
    assert class_confusion(predictions(("teff",), answers_class=False)).empty
    write_parquet(predictions(("teff",), stars=10, visits=1, failed=2), tmp_path / "p.parquet")
    counted = answer_counts({("t", "m", "s", "test"): tmp_path / "p.parquet"}).iloc[0]
    assert (counted["n_spectra"], counted["ok"], counted["unparsable"]) == (10, 8, 2)
    assert counted["first failed obsids"] == "0, 10"
