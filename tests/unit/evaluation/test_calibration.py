"""Calibrated uncertainties against the normal distribution's own coverage."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from starglot.evaluation.calibration import MIN_LABEL, calibrate, far_scales, fit_scale, ratio_scale, shrunk
from starglot.tables import PREDICTION


def table(label, error, raw, letters="K", truth=5000.0, status="ok"):
    n = len(error)
    return pa.table(
        {
            "obsid": np.arange(n),
            "star_id": [f"gaia:{i}" for i in range(n)],
            "class": np.broadcast_to(np.asarray(letters, dtype=object), n).tolist(),
            "class_pred": pa.nulls(n, pa.string()),
            "class_probability": pa.nulls(n, pa.float64()),
            "class_log_odds": pa.nulls(n, pa.float64()),
            "label": [label] * n,
            "truth": np.full(n, truth),
            "value": truth + np.asarray(error),
            "sigma": pa.nulls(n, pa.float64()),
            "sigma_raw": np.broadcast_to(np.asarray(raw, float), n),
            "status": [status] * n,
            "seen": [False] * n,
        }
    ).cast(PREDICTION)


def draw(seed, n=4000, too_sure=2.5):
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(20, 80, n)
    return rng.normal(0, sigma), sigma / too_sure


def inside(calibrated, k=1.0):
    error = np.abs(calibrated["value"].to_numpy() - calibrated["truth"].to_numpy())
    return float((error <= k * calibrated["sigma"].to_numpy()).mean())


@pytest.mark.parametrize("too_sure", [0.3, 1.0, 2.5])
def test_sigmas_cover_what_a_normal_distribution_does(too_sure):
    calibrated, report = calibrate(
        table("teff", *draw(1, too_sure=too_sure)), table("teff", *draw(2, too_sure=too_sure))
    )
    for k in (1, 2):
        assert inside(calibrated, k) == pytest.approx(norm.cdf(k) - norm.cdf(-k), abs=0.03)
    ratio = calibrated["sigma"].to_numpy() / calibrated["sigma_raw"].to_numpy()
    assert np.median(ratio) == pytest.approx(too_sure, rel=0.1)
    facts = report["labels"]["teff"]
    assert facts["validation"]["after"]["1_sigma"] == pytest.approx(0.6827, abs=0.02)
    assert facts["set"]["n"] == 4000
    assert facts["set"]["before"]["1_sigma"] == pytest.approx(2 * norm.cdf(1 / too_sure) - 1, abs=0.03)
    assert report["notes"] == []


def test_outliers_do_not_move_the_scale():
    error, raw = draw(1)
    clean = fit_scale(error, raw)
    error[::50] += 4000  # two in a hundred are quite wrong
    dirty = fit_scale(error, raw)
    assert dirty.apply(np.array([20.0])) == pytest.approx(clean.apply(np.array([20.0])), rel=0.15)
    assert fit_scale(t.rvs(3, size=4000, random_state=1), np.ones(4000)).scale == pytest.approx(
        t.ppf(0.84135, 3), rel=0.1
    )


def test_a_model_that_is_now_and_then_certain_gets_a_floor():
    rng = np.random.default_rng(5)
    sigma = rng.choice([5.0, 40.0], 3000)
    error, raw = rng.normal(0, np.hypot(sigma, 30)), np.where(sigma == 5, 0.0, sigma)
    calibrated, report = calibrate(table("teff", error, raw), table("teff", error, raw))
    assert report["labels"]["teff"]["scales"]["all"]["floor"] > 10
    assert calibrated["sigma"].to_numpy().min() > 10
    for part in (raw == 0, raw > 0):
        assert inside(calibrated.filter(pa.array(part))) == pytest.approx(0.6827, abs=0.06)


def test_no_floor_where_none_is_needed():
    assert fit_scale(*draw(1)).floor <= 0.1 * 50


def test_classes_of_their_own_where_there_are_enough():
    rng = np.random.default_rng(2)
    letters = np.array(["A"] * 800 + ["M"] * 800 + ["F"] * 20, dtype=object)
    width = np.where(letters == "A", 100.0, 20.0)
    val = table("teff", rng.normal(0, width), 30.0, letters)
    calibrated, report = calibrate(val, val)
    assert set(report["labels"]["teff"]["scales"]) == {"all", "A", "M"}
    for letter in "AM":
        one = calibrated.filter(pa.compute.equal(calibrated["class"], letter))
        assert inside(one) == pytest.approx(0.6827, abs=0.03)


def test_labels_have_scales_of_their_own():
    teff, feh = table("teff", *draw(1)), table("feh", draw(3)[0] / 1000, 0.05, truth=-0.2)
    calibrated, _ = calibrate(pa.concat_tables([teff, feh]), pa.concat_tables([teff, feh]))
    for label in ("teff", "feh"):
        one = calibrated.filter(pa.compute.equal(calibrated["label"], label))
        assert inside(one) == pytest.approx(0.6827, abs=0.03)


def test_too_few_validation_rows_are_said():
    val = pa.concat_tables([table("teff", *draw(1)), table("feh", *draw(2, n=MIN_LABEL - 1))])
    calibrated, report = calibrate(val, table("feh", *draw(4)))
    assert "feh (29)" in report["notes"][0]
    assert inside(calibrated) == pytest.approx(0.68, abs=0.05)
    bare, report = calibrate(table("feh", [], []), table("feh", *draw(4)))
    assert bare["sigma"].equals(bare["sigma_raw"])
    assert report["labels"]["feh"]["validation"]["n"] == 0
    bare, report = calibrate(table("feh", np.ones(5), 0.0), table("feh", *draw(4)))
    assert "sigma_raw as it is" in report["notes"][0]


def test_missing_stays_missing():
    raw = table("teff", *draw(1))
    value = raw["value"].to_pylist()
    value[0] = None
    sigma_raw = raw["sigma_raw"].to_pylist()
    sigma_raw[1] = None
    truth = raw["truth"].to_pylist()
    truth[2] = None
    for name, column in (("value", value), ("sigma_raw", sigma_raw), ("truth", truth)):
        raw = raw.set_column(raw.column_names.index(name), name, pa.array(column, pa.float64()))
    calibrated, _ = calibrate(raw, raw)
    sigma = calibrated["sigma"].to_pylist()
    assert sigma[0] is None and sigma[1] is None and sigma[2] > 0
    assert calibrated.drop_columns("sigma").equals(raw.drop_columns("sigma"))


def test_bad_answers_do_not_count():
    good, bad = table("teff", *draw(1)), table("teff", np.full(4000, 9e4), 1.0, status="out_of_range")
    one, two = calibrate(good, good)[0], calibrate(pa.concat_tables([good, bad]), good)[0]
    assert one.equals(two)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.integers(60, 400))
def test_the_scale_follows_the_units(seed, unit, n):
    error, raw = draw(seed, n)
    one, other = fit_scale(error, raw), fit_scale(error * unit, raw * unit)
    assert other.apply(raw * unit) == pytest.approx(one.apply(raw) * unit)
    # Standard error of a quantile's coverage; the mean over a window does better than twice that.
    assert (np.abs(error) <= one.apply(raw)).mean() == pytest.approx(0.6827, abs=2 * (0.68 * 0.32 / n) ** 0.5)


def test_of_many_errors_no_shape_is_assumed():
    ratio = np.abs(t.rvs(3, size=400_000, random_state=3))
    assert (ratio <= ratio_scale(ratio)).mean() == pytest.approx(0.6827, abs=0.002)


def test_few_stars_cover_better_when_labels_are_drawn_together():
    """Twenty labels of one true scale, 100 validation stars: coverage of new stars scatters less than by quantile."""
    rng = np.random.default_rng(8)
    labels = [f"{x}_fe" for x in "abcdefghijklmnopqrst"]
    val = pa.concat_tables([table(name, rng.normal(0, 0.15, 100), 0.1, truth=0.0) for name in labels])
    calibrated, _ = calibrate(val, val)
    sigma = dict(zip(calibrated["label"].to_pylist(), calibrated["sigma"].to_pylist(), strict=True))
    error = np.abs(val["value"].to_numpy()).reshape(20, 100)
    drawn = np.std([2 * norm.cdf(sigma[name] / 0.15) - 1 for name in labels])
    alone = np.std([2 * norm.cdf(np.quantile(row, 0.6827) / 0.15) - 1 for row in error])
    assert drawn < 0.6 * alone
    assert np.mean([sigma[name] for name in labels]) == pytest.approx(0.15, rel=0.03)


def test_shrinking_leaves_what_differs_beyond_chance():
    far, same = np.array([-1.0, 1.0, 0.9, -0.9]), np.array([0.05, -0.04, 0.02, -0.03])
    variance = np.full(4, 0.01)
    assert shrunk(far, variance) == pytest.approx(far, rel=0.03)
    assert not shrunk(same, variance).any()


def test_uncertainties_that_were_far_off_are_said(caplog):
    error, sigma = draw(1, 200, too_sure=1.0)
    for factor, said in ((1.0, False), (887.0, True), (1 / 887, True)):
        caplog.clear()
        _, report = calibrate(table("teff", error, sigma / factor), table("teff", error, sigma / factor))
        assert bool(far_scales(report["labels"])) == said
        assert any("teff" in text and "factor" in text for text in caplog.messages) == said
