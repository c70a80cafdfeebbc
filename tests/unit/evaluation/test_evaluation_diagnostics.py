"""Calibration metrics, skill beyond the controls, error budget, tails, leakage: against closed forms and scipy."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prediction_tables import predictions, with_rows
from scipy import integrate, stats

from starglot.evaluation.budget import budget_table, within_scatter
from starglot.evaluation.calibration import calibrate
from starglot.evaluation.crossval import crossval_table
from starglot.evaluation.leakage import leakage_table
from starglot.evaluation.partial import partial_table
from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import robust_scatter
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.tails import tails_table
from starglot.evaluation.uncertainty import calibration_table, coverage_notes, crps, pit, uniform_distance
from starglot.labels import CLASSES
from starglot.report.further import further_tables
from starglot.tables import PREDICTION, SAMPLE, write_json, write_parquet


def written(tmp_path, table, key=("llm-x", "all", "test")):
    path = tmp_path / f"{'-'.join(key)}.parquet"
    write_parquet(table, path)
    return {key: path}


def scaled(tmp_path, val, key=("llm-x", "all", "test")):
    """What `calibrate` says of scales set on the predictions ``val``, beside the prediction table."""
    path = tmp_path / f"{'-'.join(key)}.calibration.json"
    write_json(calibrate(val, val)[1], path)
    return {key: path}


def facts(table, **columns):
    obsid = np.unique(table["obsid"].to_numpy())
    return pa.table({"obsid": obsid, **{k: np.broadcast_to(v, len(obsid)) for k, v in columns.items()}})


# ---------------------------------------------------------------- uncertainties


@pytest.mark.parametrize("pull", [-2.0, -0.3, 0.0, 1.7])
def test_crps_is_the_integral_that_defines_it(pull):
    sigma = 3.0
    below = integrate.quad(lambda x: stats.norm.cdf(x, scale=sigma) ** 2, -40, pull * sigma)[0]
    above = integrate.quad(lambda x: stats.norm.sf(x, scale=sigma) ** 2, pull * sigma, 40)[0]
    assert crps(np.array([pull]), np.array([sigma]))[0] == pytest.approx(below + above, rel=1e-6)


def test_pit_and_its_distance_from_uniform_as_scipy_has_them():
    pulls = np.random.default_rng(1).normal(0.2, 1.3, 500)
    assert pit(pulls) == pytest.approx(stats.norm.cdf(pulls))
    assert uniform_distance(pit(pulls)) == pytest.approx(stats.kstest(stats.norm.cdf(pulls), "uniform").statistic)


def test_robust_scatter_as_scipy_has_it():
    values = stats.t.rvs(3, size=301, random_state=2)
    expected = stats.median_abs_deviation(values, scale="normal")
    assert robust_scatter(values) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("claimed", [0.5, 1.0, 2.0])
def test_the_calibration_table_finds_wrong_sigmas(tmp_path, claimed):
    table = predictions(("teff",), stars=3000, visits=1)
    table = table.set_column(table.column_names.index("sigma"), "sigma", pa.compute.multiply(table["sigma"], claimed))
    beside = scaled(tmp_path, predictions(("teff",), stars=70, visits=2))
    frame = calibration_table(
        written(tmp_path, table),
        ["teff"],
        facts(table, snr_r=30.0),
        task="t",
        groups=CLASSES,
        calibrations=beside,
        replicates=100,
    ).set_index("part")
    assert set(frame["n_val_stars"]) == {70}
    whole = frame.loc["All"]
    assert whole["pull_std"] == pytest.approx(1 / claimed, rel=0.05)
    assert whole["coverage_68"] == pytest.approx(2 * stats.norm.cdf(stats.norm.ppf(0.84) * claimed) - 1, abs=0.03)
    assert whole["coverage_68_lo"] < whole["coverage_68"] < whole["coverage_68_hi"]
    # The expected CRPS of N(0, s) for errors of N(0, e): (closed form of E|X - Y| / 2 terms).
    error, sigma = 120.0, 120.0 * claimed
    expected = np.sqrt(2 / np.pi) * np.hypot(error, sigma) - sigma / np.sqrt(np.pi)
    assert whole["crps"] == pytest.approx(expected, rel=0.05)
    assert set(frame.index) == {"All", "A", "F", "G", "K", "M", "S/N 20-50"}
    assert frame.loc["S/N 20-50", "n"] == whole["n"] == 3000


@pytest.mark.parametrize("test_stars, val_stars", [(300, 110), (2500, 1000)])
def test_the_note_on_coverage_knows_how_many_labels_chance_leaves_outside(test_stars, val_stars):
    rng, labels = np.random.default_rng(4), 3000
    width = np.quantile(np.abs(rng.normal(size=(labels, val_stars))), 0.68, axis=1)
    covered = (np.abs(rng.normal(size=(labels, test_stars))) <= width[:, None]).mean(axis=1)
    told = {"model": "m", "size": "all", "set": "test", "part": "All", "n_val_stars": val_stars}
    frame = pd.DataFrame({"coverage_68": covered, "n_stars": test_stars, **told})
    few = frame.iloc[:5].assign(n_stars=199)
    (note,) = coverage_notes(pd.concat([frame, few]))
    found = re.search(r"m (\d+) of (\d+)\. .* it would be (\d+)\.$", note)
    inside, of, expected = map(int, found.groups())
    assert (inside, of) == (((covered >= 0.64) & (covered <= 0.72)).sum(), labels)
    assert inside == pytest.approx(expected, abs=0.03 * labels)
    assert coverage_notes(few) == []


def test_the_note_stands_below_the_table_and_in_the_report(tmp_path):
    table = predictions(("teff",), stars=250, visits=1)
    beside = scaled(tmp_path, predictions(("teff",), stars=120, visits=1))
    sky = facts(table, snr_r=30.0)
    frame = calibration_table(
        written(tmp_path, table), ["teff"], sky, task="t", groups=CLASSES, calibrations=beside, replicates=10
    )
    (note,) = coverage_notes(frame)
    assert re.search(r"llm-x [01] of 1\. .* it would be [01]\.$", note)
    write_table(frame, tmp_path / "calibration_t", "Quality", coverage_notes(frame))
    assert f"- {note}\n" in (tmp_path / "calibration_t.md").read_text()
    ((shown,),) = further_tables([tmp_path / "calibration_t.csv"]).values()
    assert note in shown.notes and len(shown.notes) == len(set(shown.notes))


def test_spoilt_labels_are_marked_and_others_stay(tmp_path):
    table = with_rows(predictions(("teff", "logg")), value={0: np.inf})
    tables, beside, sky = written(tmp_path, table), scaled(tmp_path, table), facts(table, snr_r=30.0)
    labels = ["teff", "logg", "feh"]
    frame = calibration_table(tables, labels, sky, task="t", groups=CLASSES, calibrations=beside, replicates=10)
    marked = frame[frame["label"] == "teff"]
    assert len(marked) == 1 and "NaN" in marked["note"].iloc[0] and np.isnan(marked["crps"].iloc[0])
    assert np.isfinite(frame.loc[frame["label"] == "logg", "crps"]).all() and "feh" not in set(frame["label"])


def test_seen_stars_and_failed_answers_are_not_judged():
    table = with_rows(predictions(("teff",), stars=20, visits=1, failed=3), seen={5: True, 6: True})
    rows = judged(table, "teff")
    assert (len(rows), rows.seen, rows.spoilt) == (15, 2, 0)


# ---------------------------------------------------------------- skill beyond the controls


def abundance_rows(label, truth, value):
    n = len(truth)
    return pa.table(
        {
            "obsid": np.arange(n),
            "star_id": [f"gaia:{i}" for i in range(n)],
            "class": ["G"] * n,
            "class_pred": pa.nulls(n, pa.string()),
            "class_probability": pa.nulls(n, pa.float64()),
            "class_log_odds": pa.nulls(n, pa.float64()),
            "label": [label] * n,
            "truth": truth,
            "value": value,
            "sigma": np.full(n, 0.1),
            "sigma_raw": np.full(n, 0.1),
            "status": ["ok"] * n,
            "seen": [False] * n,
        }
    ).cast(PREDICTION)


def test_partial_r2_against_the_definition_and_a_guess_from_correlations(tmp_path):
    rng = np.random.default_rng(4)
    n = 3000
    teff, logg, feh = rng.normal(5000, 500, n), rng.normal(3, 1, n), rng.normal(-0.5, 0.4, n)
    mg = 0.2 - 0.3 * feh + rng.normal(0, 0.05, n)
    c = 0.1 + 0.2 * feh**2 - 0.5 * mg + rng.normal(0, 0.1, n)
    own = c + rng.normal(0, 0.1, n)  # reads the element, with noise
    guess = 0.1 + 0.2 * feh**2 - 0.5 * mg + rng.normal(0, 0.02, n)  # never looks at it
    values = {"read": own, "guess": guess, "wrong": 2 * (0.2 * feh**2 - 0.5 * mg) - c}
    parameters = pa.table({"obsid": np.arange(n), "teff": teff, "logg": logg, "feh": feh})
    paths = {}
    for model, value in values.items():
        table = pa.concat_tables([abundance_rows("mg_fe", mg, mg), abundance_rows("c_fe", c, value)])
        paths |= written(tmp_path, table, (model, "all", "test"))
    found = partial_table(paths, ["mg_fe", "c_fe"], parameters, replicates=100).set_index(["model", "label"])
    # By definition: how much adding the value to the regression lowers the sum of squares.
    z = (np.column_stack([teff, logg, feh, mg]) - [5000, 3, -0.5, 0.35]) / [500, 1, 0.4, 0.15]
    design = np.column_stack([np.ones(n), z, *[z[:, i] * z[:, j] for i in range(4) for j in range(i, 4)]])

    def left(design):
        return np.sum((c - design @ np.linalg.lstsq(design, c, rcond=None)[0]) ** 2)

    expected = 1 - left(np.column_stack([design, own])) / left(design)
    row = found.loc["read", "c_fe"]
    assert row["partial_r2"] == pytest.approx(expected, abs=1e-6) and expected == pytest.approx(0.5, abs=0.05)
    assert row["partial_r2_lo"] < expected < row["partial_r2_hi"]
    assert abs(found.loc["guess", "c_fe"]["partial_r2"]) < 0.01
    assert found.loc["wrong", "c_fe"]["partial_r2"] == pytest.approx(-1, abs=0.01)
    assert found.loc["read", "mg_fe"]["partial_r2"] == pytest.approx(1)


def test_partial_r2_of_few_stars_is_not_said(tmp_path):
    table = predictions(("mg_fe", "c_fe"), stars=30, visits=1)
    parameters = facts(table, teff=5000.0, logg=3.0, feh=0.0)
    assert partial_table(written(tmp_path, table), ["c_fe"], parameters)["partial_r2"].isna().all()


# ---------------------------------------------------------------- budget, tails


def test_within_scatter_is_the_analysis_of_variance():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(400), 3)
    values = np.repeat(rng.normal(0, 5, 400), 3) + rng.normal(0, 0.7, 1200)
    frame = pd.DataFrame({"g": group, "v": values})
    expected = np.sqrt((frame.groupby("g")["v"].var(ddof=1)).mean())
    assert within_scatter(values, group) == (pytest.approx(expected), 800)
    assert np.isnan(within_scatter(values[:2], np.array([1, 2]))[0])


def test_the_budget_adds_up(tmp_path):
    paths = {}
    for seed, model in enumerate(("llm-x.s1", "llm-x.s2", "ridge")):
        paths |= written(tmp_path, predictions(("teff",), stars=600, error=1.0, seed=seed), (model, "all", "test"))
    table = predictions(("teff",), stars=600)
    frame = budget_table(paths, ["teff"], facts(table, teff_err=50.0), task="t", groups=CLASSES).set_index(
        ["model", "class"]
    )
    row = frame.loc["ridge", "All"]
    assert row["rmse"] ** 2 == pytest.approx(row["mean"] ** 2 + row["std"] ** 2)
    assert row["label_noise"] == pytest.approx(50.0) and row["photon_noise"] == pytest.approx(120, rel=0.12)
    assert np.isnan(row["model_scatter"]) and row["n_revisits"] == 300
    assert frame.loc["llm-x.s1", "All"]["model_scatter"] == pytest.approx(120, rel=0.1)
    explained = np.nansum([row[name] ** 2 for name in ("label_noise", "photon_noise", "unexplained")])
    assert max(explained, row["std"] ** 2) == pytest.approx(explained)
    empty = predictions(("teff",), stars=1)
    one = budget_table(written(tmp_path, empty), ["teff"], facts(empty, teff_err=50.0), task="t", groups=CLASSES)
    assert "one spectrum" in one["note"].iloc[0] and set(one["note"].iloc[2:]) == {"no spectra"}


def test_repeats_measure_the_model_scatter_and_have_no_rows(tmp_path):
    """A fold's model predicts its own fold alone: with the model itself, two for each spectrum of the test set."""
    table = predictions(("teff",), stars=600, error=1.0, seed=0)
    itself = written(tmp_path, table, ("ridge", "all", "test"))
    fold = np.array([int(star[-1]) % 5 for star in table["star_id"].to_pylist()])
    folds = {}
    for number in range(5):
        other = predictions(("teff",), stars=600, error=1.0, seed=number + 1)
        folds |= written(tmp_path, other.filter(pa.array(fold == number)), (f"ridge.f{number}", "all", "test"))
    frame = budget_table(itself, ["teff"], facts(table, teff_err=50.0), task="t", groups=CLASSES, repeats=folds)
    assert set(frame["model"]) == {"ridge"}
    assert frame.set_index("class").loc["All", "model_scatter"] == pytest.approx(120, rel=0.1)

    crossed = crossval_table(folds, ["teff"], task="t").set_index("class")
    residual = {
        key[0]: np.subtract(*(t[name].to_numpy() for name in ("value", "truth")))
        for key, t in ((key, pq.read_table(path)) for key, path in folds.items())
    }
    rmse = [np.sqrt(np.mean(each**2)) for each in residual.values()]
    assert crossed.loc["All", ["model", "folds", "n"]].tolist() == ["ridge", 5, len(table)]
    assert crossed.loc["All", "rmse"] == pytest.approx(np.mean(rmse))
    assert crossed.loc["All", "rmse_over_folds"] == pytest.approx(np.std(rmse, ddof=1))


def test_the_tails_hold_who_they_say(tmp_path):
    table = predictions(("teff",), stars=100, visits=1)
    known = facts(table, teff=5000.0, logg=1.5, feh=np.linspace(-3, 0.5, 100), snr_r=40.0)
    frame = tails_table(written(tmp_path, table), ["teff"], known, task="t", replicates=20).set_index("part")
    feh = known["feh"].to_numpy()
    assert frame.loc["[Fe/H] < -1", "n"] == (feh < -1).sum() and frame.loc["[Fe/H] < -2", "n"] == (feh < -2).sum()
    assert frame.loc["M giants", "n"] == 20 and frame.loc["M dwarfs", "n"] == 0
    assert frame.loc["S/N < 10", "note"] == "no spectra"
    frame = frame[frame["n"] > 1]
    assert (frame["rmse"] ** 2).to_numpy() == pytest.approx((frame["mean"] ** 2 + frame["std"] ** 2).to_numpy())
    galaxies = facts(table, teff=None, logg=None, feh=None, snr_r=5.0)
    assert tails_table(written(tmp_path, table), ["teff"], galaxies, task="t")["part"].tolist() == ["S/N < 10"]


# ---------------------------------------------------------------- leakage


def sample(tmp_path, name, rows):
    columns = [*zip(*rows, strict=True)]
    table = pa.table({"obsid": columns[0], "star_id": columns[1], "class": ["G"] * len(rows), "split": columns[2]})
    table = table.append_column("fold", pa.array([0] * len(rows))).cast(SAMPLE)
    write_parquet(table, tmp_path / f"{name}.parquet")
    return tmp_path / f"{name}.parquet"


def test_leaks_are_counted(tmp_path):
    clean = [(1, "a", "train"), (2, "b", "test"), (3, "c", "val"), (4, "b", "test")]
    leaking = [(1, "a", "train"), (5, "a", "test"), (2, "b", "train"), (6, "d", "test")]
    samples = {("one", "s"): sample(tmp_path, "one", clean), ("two", "s"): sample(tmp_path, "two", leaking)}
    catalog = pa.table(
        {
            "obsid": [1, 2, 3, 4, 5, 6],
            "ra": [10.0, 20.0, 30.0, 20.0, 10.0, 10.0002],
            "dec": [0.0] * 6,
            "shard": ["P", "P", "P", "Q", "P", "Q"],
        }
    )
    frame = leakage_table(samples, {task: catalog for task, _ in samples}).set_index("task")
    one, two = frame.loc["one"], frame.loc["two"]
    assert (one["stars in two splits"], one["spectra in two splits"]) == (0, 0)
    assert (one["test spectra"], one["test spectra on training plates"]) == (2, 1)
    assert two["stars in two splits"] == 1 and two["stars split differently elsewhere"] >= 2
    # Star d is 0.7 arcsec from the training star a.
    assert two["test stars near a training star"] == 1 and one["test stars near a training star"] == 0
