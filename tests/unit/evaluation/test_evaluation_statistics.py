"""Estimators against scipy, astropy and numpy; the bootstrap against brute force."""

from itertools import product

import numpy as np
import pytest
import scipy.stats
from astropy.stats import mad_std
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import r2_score

from starglot.evaluation.cells import STATISTICS, CellRows, cell_statistics
from starglot.evaluation.skill import r2, within_class_skill
from starglot.evaluation.statistics import (
    interval,
    normal_half_width,
    resampled_median,
    resampled_robust_scatter,
    robust_scatter,
    star_resamples,
)

finite = st.floats(-1e4, 1e4, allow_nan=False, width=32)


def cell(truth, value, *, star=None, letter=None, sigma=None, residual=None):
    n = len(truth)
    truth, value = np.asarray(truth, float), np.asarray(value, float)
    return CellRows(
        truth,
        value,
        np.full(n, np.nan) if sigma is None else np.asarray(sigma, float),
        np.arange(n) if star is None else np.asarray(star),
        np.array(["G"] * n if letter is None else letter, dtype=object),
        value - truth if residual is None else residual,
    )


@given(arrays(float, st.integers(1, 60), elements=finite))
def test_robust_scatter_is_astropys(residuals):
    assert robust_scatter(residuals) == pytest.approx(mad_std(residuals), rel=1e-9, abs=1e-12)
    assert robust_scatter(residuals) == pytest.approx(
        scipy.stats.median_abs_deviation(residuals, scale="normal"), rel=1e-6, abs=1e-12
    )


def test_half_widths_are_the_normal_distributions():
    assert normal_half_width(0.6826894921370859) == pytest.approx(1.0)
    assert normal_half_width(0.95) == pytest.approx(scipy.stats.norm.ppf(0.975))


@given(st.data(), st.integers(1, 25), st.integers(1, 6))
def test_resampled_estimators_equal_those_of_repeated_rows(data, n, replicates):
    residuals = data.draw(arrays(float, n, elements=finite))
    counts = data.draw(arrays(np.int32, (replicates, n), elements=st.integers(0, 3)))
    counts[:, 0] += 1  # no replicate is empty
    repeated = [np.repeat(residuals, row) for row in counts]
    ranked, order = np.sort(residuals), np.argsort(residuals, kind="stable")
    medians = resampled_median(np.broadcast_to(ranked, counts.shape), counts[:, order])
    np.testing.assert_allclose(medians, [np.median(row) for row in repeated])
    np.testing.assert_allclose(
        resampled_robust_scatter(residuals, counts), [mad_std(row) for row in repeated], rtol=1e-9, atol=1e-9
    )


def test_blocks_draw_what_one_block_would():
    small = np.concatenate(list(star_resamples(50, 40, seed=3, n_rows=500_000)))
    assert len(list(star_resamples(50, 40, seed=3, n_rows=500_000))) > 1
    np.testing.assert_array_equal(small, next(star_resamples(50, 40, seed=3, n_rows=50)))
    assert (small.sum(axis=1) == 50).all()


def test_r2_and_skill_against_sklearn_and_by_hand():
    rng = np.random.default_rng(2)
    letters = np.array(list("AFGKM") * 40, dtype=object)
    middle = dict(zip("AFGKM", (8200, 6600, 5700, 4700, 3700), strict=True))
    truth = np.array([middle[c] for c in letters]) + rng.normal(0, 250, len(letters))
    value = truth + rng.normal(20, 120, len(letters))
    assert r2(truth, value) == pytest.approx(r2_score(truth, value))
    left = sum(((value - truth)[letters == c] ** 2).sum() for c in "AFGKM")
    about = sum(len(truth[letters == c]) * truth[letters == c].var() for c in "AFGKM")
    assert within_class_skill(truth, value, letters) == pytest.approx(1 - left / about)
    # The class mean itself: a flattering R2, and no skill at all.
    mean = np.array([truth[letters == c].mean() for c in letters])
    assert r2(truth, mean) > 0.9
    assert within_class_skill(truth, mean, letters) == pytest.approx(0.0, abs=1e-12)


def test_constant_truth_has_no_skill():
    truth = np.full(30, 5777.1)
    assert np.isnan(r2(truth, truth + 1))
    assert np.isnan(within_class_skill(truth, truth + 1, ["G"] * 30))
    stats = cell_statistics(cell(truth, truth + np.arange(30)), 0.95, 50, 0)
    assert np.isnan(stats["r2"]) and np.isnan(stats["r2_lo"]) and np.isfinite(stats["std_lo"])


def test_every_statistic_and_replicate_against_numpy():
    rng = np.random.default_rng(5)
    star = np.sort(rng.integers(0, 25, 80))
    letter = np.array(list("FGK"), dtype=object)[star % 3]
    truth = 5000 + 300 * (star % 3) + rng.normal(0, 100, 80)
    value = truth + rng.normal(7, 50, 80)
    sigma = np.where(rng.random(80) < 0.2, np.nan, 45.0)
    rows = cell(truth, value, star=star, letter=letter, sigma=sigma)
    stats = cell_statistics(rows, 0.9, 60, seed=4)

    def by_hand(index):
        t, v, s, c = truth[index], value[index], sigma[index], letter[index]
        residual, known = v - t, np.isfinite(s)
        return {
            "mean": np.mean(residual),
            "std": np.std(residual),
            "rmse": np.sqrt(np.mean(residual**2)),
            "mae": np.mean(np.abs(residual)),
            "robust": mad_std(residual),
            "r2": r2_score(t, v),
            "skill": within_class_skill(t, v, c),
            "coverage_68": np.mean(np.abs(residual[known]) <= scipy.stats.norm.ppf(0.84) * s[known]),
            "coverage_95": np.mean(np.abs(residual[known]) <= scipy.stats.norm.ppf(0.975) * s[known]),
        }

    for name, wanted in by_hand(np.arange(80)).items():
        assert stats[name] == pytest.approx(wanted, rel=1e-9), name
    stars, code = np.unique(star, return_inverse=True)
    counts = np.concatenate(list(star_resamples(len(stars), 60, 4, 80)))
    replicates = [by_hand(np.repeat(np.arange(80), row[code])) for row in counts]
    for name in STATISTICS:
        wanted = np.quantile([replicate[name] for replicate in replicates], [0.05, 0.95])
        assert [stats[f"{name}_lo"], stats[f"{name}_hi"]] == pytest.approx(wanted, rel=1e-9), name


def test_interval_of_the_mean_agrees_with_scipys_bootstrap():
    rng = np.random.default_rng(8)
    residual = rng.normal(3, 10, 200)
    stats = cell_statistics(cell(np.zeros(200), residual), 0.95, 4000, 0)
    theirs = scipy.stats.bootstrap((residual,), np.mean, method="percentile", n_resamples=4000, rng=rng)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert stats["mean_lo"] == pytest.approx(theirs.confidence_interval.low, abs=0.08 * width)
    assert stats["mean_hi"] == pytest.approx(theirs.confidence_interval.high, abs=0.08 * width)


def test_intervals_count_stars_not_spectra():
    rng = np.random.default_rng(1)
    one = rng.normal(0, 1, 100)
    width = {}
    for visits in (1, 9):
        stats = cell_statistics(
            cell(np.zeros(100 * visits), np.repeat(one, visits), star=np.repeat(np.arange(100), visits)), 0.68, 800, 0
        )
        width[visits] = stats["mean_hi"] - stats["mean_lo"]
    assert width[9] == pytest.approx(width[1], rel=1e-9)


@given(st.data(), st.integers(2, 40))
def test_rmse_is_mean_and_scatter_in_quadrature(data, n):
    truth, value = (data.draw(arrays(float, n, elements=finite)) for _ in range(2))
    stats = cell_statistics(cell(truth, value), 0.95, 20, 0)
    assert stats["rmse"] ** 2 == pytest.approx(stats["mean"] ** 2 + stats["std"] ** 2, rel=1e-9, abs=1e-9)


def test_an_interval_of_mostly_undefined_replicates_is_none():
    assert np.isnan(interval(np.array([1.0, np.nan, 2.0, np.nan]), 0.95)).all()
    assert interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))


def test_a_residual_of_its_own_leaves_r2_skill_and_coverage_those_of_the_difference():
    rng = np.random.default_rng(8)
    star, letter = np.arange(60), np.array(list("FGK"), dtype=object)[np.arange(60) % 3]
    truth = rng.uniform(0.02, 1.2, 60)
    value, sigma = truth + rng.normal(0.01, 0.03, 60), np.full(60, 0.03)
    told = {"star": star, "letter": letter, "sigma": sigma}
    plain = cell_statistics(cell(truth, value, **told), 0.9, 80, seed=2)
    relative = (value - truth) / (1 + truth)
    stats = cell_statistics(cell(truth, value, **told, residual=relative), 0.9, 80, seed=2)
    assert stats["std"] == pytest.approx(relative.std()) and stats["mae"] == pytest.approx(np.abs(relative).mean())
    as_difference = cell_statistics(cell(np.zeros(60), relative, star=star), 0.9, 80, seed=2)
    for name, end in product(("mean", "std", "rmse", "mae", "robust"), ("", "_lo", "_hi")):
        assert stats[name + end] == pytest.approx(as_difference[name + end], rel=1e-9, abs=1e-12)
    for name, end in product(("r2", "skill", "coverage_68", "coverage_95"), ("", "_lo", "_hi")):
        assert stats[name + end] == plain[name + end]
