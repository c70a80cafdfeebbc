"""The degradation table on prediction tables with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from prediction_tables import predictions, with_rows
from scipy.stats import bootstrap, median_abs_deviation

from starglot.evaluation.degradation import UNALTERED, degradation_table, paired_ratios
from starglot.evaluation.rows import judged
from starglot.plots.degradation import draw_degradation
from starglot.tables import write_parquet

LABELS = ("teff", "logg")
MODEL = ("ridge", "all")


def table(tmp_path, before, rejected=None, **altered):
    write_parquet(before, tmp_path / "before.parquet")
    for name, rows in altered.items():
        write_parquet(rows, tmp_path / f"{name}.parquet")
    paths = {MODEL: {name: tmp_path / f"{name}.parquet" for name in altered}}
    return degradation_table(paths, {MODEL: tmp_path / "before.parquet"}, LABELS, rejected or {}, task="atmosphere")


def scaled(rows, factor, shift=0.0):
    """The same predictions with errors ``factor`` times as large, and ``shift`` added."""
    pairs = [(v.as_py(), t.as_py()) for v, t in zip(rows["value"], rows["truth"], strict=True)]
    values = {i: None if v is None else t + factor * (v - t) + shift for i, (v, t) in enumerate(pairs)}
    return with_rows(rows, value=values)


def test_ratios_are_those_of_the_errors(tmp_path):
    before = predictions(LABELS, stars=200)
    found = table(tmp_path, before, {"worse": 4}, worse=scaled(before, 3.0), same=before).set_index(
        ["label", "change"]
    )
    assert list(found.index.unique("change")) == [UNALTERED, "worse", "same"]
    for label in LABELS:
        worse, plain, same = (found.loc[(label, name)] for name in ("worse", UNALTERED, "same"))
        for name in ("rmse", "robust"):
            # Every error is three times as large: so is each resample, and the paired interval has no width.
            assert worse[f"{name}_ratio"] == pytest.approx(3.0) and worse[name] == pytest.approx(3 * plain[name])
            assert worse[f"{name}_ratio_lo"] == pytest.approx(3.0) == worse[f"{name}_ratio_hi"]
            assert same[f"{name}_ratio"] == 1.0 and np.isnan(plain[f"{name}_ratio"])
        assert worse["coverage_68"] < 0.35 < 0.6 < same["coverage_68"]
        assert (worse["n_rejected"], same["n_rejected"]) == (4, 0) and worse["n"] == 300


def test_the_paired_interval_is_scipys(tmp_path):
    first, second = (
        predictions(LABELS, stars=150, visits=1),
        predictions(LABELS, stars=150, visits=1, error=1.6, seed=8),
    )
    one, two = judged(first, "teff"), judged(second, "teff")
    found = paired_ratios(one, two, 0.95, 4000, seed=1)

    def rmse(a, b, axis=-1):
        return np.sqrt(np.mean(b**2, axis=axis) / np.mean(a**2, axis=axis))

    def robust(a, b, axis=-1):
        return median_abs_deviation(b, axis=axis) / median_abs_deviation(a, axis=axis)

    for name, statistic in (("rmse_ratio", rmse), ("robust_ratio", robust)):
        theirs = bootstrap(
            (one.residual, two.residual), statistic, paired=True, n_resamples=4000, method="percentile", rng=2
        ).confidence_interval
        assert found[name] == pytest.approx(float(statistic(one.residual, two.residual)), rel=1e-9)
        assert found[f"{name}_lo"] == pytest.approx(theirs.low, rel=0.03)
        assert found[f"{name}_hi"] == pytest.approx(theirs.high, rel=0.03)


def test_only_spectra_in_both_are_compared(tmp_path):
    before = predictions(LABELS, stars=60)
    half = scaled(before, 2.0, shift=500.0).slice(0, 60)
    found = table(tmp_path, before, half=half).set_index(["label", "change"])
    row, plain = found.loc[("teff", "half")], found.loc[("teff", UNALTERED)]
    assert row["n"] == plain["n"] == 30
    assert row["mean"] == pytest.approx(2 * plain["mean"] + 500, rel=1e-6)
    assert row["robust_ratio"] == pytest.approx(2.0, rel=1e-9)


def test_what_cannot_be_judged_is_marked_and_counted(tmp_path):
    before = predictions(LABELS, stars=40)
    failed = predictions(LABELS, stars=40, failed=10)
    infinite = with_rows(before, value={0: float("inf")})
    none = with_rows(before, status=dict.fromkeys(range(len(before)), "unparsable"))
    found = table(tmp_path, before, failed=failed, infinite=infinite, none=none).set_index(["label", "change"])
    assert found.loc[("teff", "failed"), "n_unparsable"] > 0
    assert found.loc[("teff", "failed"), "n"] + found.loc[("teff", "failed"), "n_unparsable"] == 60
    assert found.loc[("teff", "infinite"), "n"] == 0 and "infinite" in found.loc[("teff", "infinite"), "note"]
    assert np.isnan(found.loc[("teff", "infinite"), "rmse_ratio"])
    assert found.loc[("teff", "none"), "note"] == "no spectra" and np.isnan(found.loc[("teff", "none"), "rmse"])
    perfect = with_rows(before, value={i: t.as_py() for i, t in enumerate(before["truth"])})
    ratios = paired_ratios(judged(perfect, "teff"), judged(before, "teff"), 0.95, 100, seed=0)
    assert all(np.isnan(value) for value in ratios.values()), "nothing is compared with no scatter at all"


@pytest.mark.parametrize("labels", [("teff", "logg"), ("mg_fe", "ca_fe", "na_fe", "o_fe", "c_fe")])
def test_the_figure_is_drawn_also_where_a_ratio_is_missing_or_huge(tmp_path, labels):
    before = predictions(labels, stars=30)
    write_parquet(before, tmp_path / "before.parquet")
    write_parquet(scaled(before, 80.0), tmp_path / "huge.parquet")
    write_parquet(
        with_rows(before, status=dict.fromkeys(range(len(before)), "unparsable")), tmp_path / "none.parquet"
    )
    paths = {MODEL: {name: tmp_path / f"{name}.parquet" for name in ("huge", "none")}}
    found = degradation_table(paths, {MODEL: tmp_path / "before.parquet"}, labels, {}, task="t")
    draw_degradation(found, tmp_path / "figure", "title")
    assert (tmp_path / "figure.svg").read_text().rstrip().endswith("</svg>")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
