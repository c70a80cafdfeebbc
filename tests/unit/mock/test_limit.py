"""The information limit against problems with known answers, and the table of models in units of it."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prediction_tables import predictions
from scipy.optimize import curve_fit

from starglot.config.root import Mock
from starglot.evaluation.limit import BINS, limit_rows
from starglot.labels import CLASSES
from starglot.mock.limit import LABELS, cramer_rao, limit_table
from starglot.mock.population import draw_stars
from starglot.mock.survey import plan_visits

SEEN = (3800.0, 8700.0)


def test_the_bound_of_a_straight_line_is_the_textbooks():
    x, sigma = np.linspace(-1, 3, 40), np.linspace(0.5, 1.5, 40)
    bound = cramer_rao(np.stack([np.ones(40), x]), sigma, np.zeros((2, 2)))
    _, covariance = curve_fit(lambda x, a, b: a + b * x, x, 2 + x, sigma=sigma, absolute_sigma=True)
    assert bound == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-4)
    even = cramer_rao(np.stack([np.ones(40), x]), np.ones(40), np.zeros((2, 2)))
    assert even[1] == pytest.approx(1 / np.sqrt(np.sum((x - x.mean()) ** 2)))


def test_a_least_squares_fit_reaches_the_bound():
    rng = np.random.default_rng(2)
    lines, sigma = rng.normal(size=(3, 60)), rng.uniform(0.5, 2, 60)
    data = np.array([1.0, -2, 0.5]) @ lines + sigma * rng.standard_normal((4000, 60))
    fits = np.linalg.lstsq((lines / sigma).T, (data / sigma).T, rcond=None)[0]
    assert fits.std(axis=1) == pytest.approx(cramer_rao(lines, sigma, np.zeros((3, 3))), rel=0.04)


def test_a_prior_is_a_measurement_more():
    lines, sigma = np.random.default_rng(3).normal(size=(2, 30)), np.full(30, 2.0)
    known = np.diag([1 / 0.1**2, 0.0])
    measured = cramer_rao(np.hstack([lines, [[1.0], [0.0]]]), np.append(sigma, 0.1), np.zeros((2, 2)))
    assert cramer_rao(lines, sigma, known) == pytest.approx(measured)
    alone = cramer_rao(np.zeros((2, 30)), sigma, known)
    assert alone[0] == pytest.approx(0.1) and np.isinf(alone[1])


def test_values_without_information_change_nothing():
    lines = np.random.default_rng(4).normal(size=(2, 30))
    sigma = np.ones(30)
    bound = cramer_rao(lines, sigma, np.zeros((2, 2)))
    more = np.hstack([lines, np.full((2, 5), 9.0)])
    assert cramer_rao(more, np.append(sigma, np.full(5, np.inf)), np.zeros((2, 2))) == pytest.approx(bound)


@pytest.fixture(scope="module")
def limits() -> pd.DataFrame:
    """Of 60 spectra of a mock of the demo's noise."""
    settings = Mock(spectra=400, plates=1, snr=(30.0, 200.0))
    visits, _ = plan_visits(settings.spectra, settings.plates, settings.seed)
    truth = pa.table({"obsid": visits.obsid, "star": visits.star, "visit": visits.visit})
    return limit_table(truth, visits.obsid[:150].tolist(), settings, SEEN).to_pandas()


def test_the_mocks_limit_is_what_was_found_independently(limits):
    """Medians by class of another calculation, whose stars were others: within a factor of 1.3, as far as rounded."""
    expected = {
        ("A", "teff"): 10, ("F", "teff"): 10, ("G", "teff"): 18, ("K", "teff"): 10, ("M", "teff"): 2,
        ("G", "logg"): 0.07, ("K", "logg"): 0.04, ("F", "logg"): 0.06,
        ("A", "feh"): 0.015, ("F", "feh"): 0.014, ("G", "feh"): 0.021, ("K", "feh"): 0.021, ("M", "feh"): 0.012,
        ("K", "ca_fe"): 0.009, ("K", "mg_fe"): 0.014, ("K", "na_fe"): 0.017, ("K", "cr_fe"): 0.022,
        ("K", "ti_fe"): 0.031, ("K", "c_fe"): 0.033, ("K", "ni_fe"): 0.040, ("K", "mn_fe"): 0.049,
        ("K", "v_fe"): 0.059, ("K", "n_fe"): 0.063, ("K", "si_fe"): 0.07, ("K", "al_fe"): 0.075,
    }  # fmt: skip
    medians = limits.groupby(["class", "label"])["bound"].median()
    ratio = pd.Series({key: medians[key] / value for key, value in expected.items()})
    assert ratio.between(1 / 1.5, 1.5).all(), ratio  # some thirty stars a class, with noise of their own
    assert 1 / 1.3 < ratio.median() < 1.3 and ratio.between(1 / 1.3, 1.3).mean() > 0.8
    unreadable = limits[limits["label"].isin(["ci_fe", "s_fe", "p_fe"])].groupby("label")["bound"].median()
    assert (unreadable > 0.2).all()  # wider than the population is


def test_the_prior_helps_and_never_more_than_the_population_knows(limits):
    pool = draw_stars(0, 6000, 5)
    spread = {"teff": pool.teff, "logg": pool.logg, "feh": pool.feh}
    assert (limits["bound_prior"] <= limits["bound"] * (1 + 1e-6)).all()
    for name, values in spread.items():
        of_class = {letter: values[pool.target == c].std() for c, letter in enumerate(CLASSES)}
        rows = limits[limits["label"] == name]
        assert (rows["bound_prior"] < rows["class"].map(of_class)).all()


def test_the_bound_falls_with_the_noise():
    visits, _ = plan_visits(40, 1, 1)
    truth = pa.table({"obsid": visits.obsid, "star": visits.star, "visit": visits.visit})
    few = visits.obsid[:12].tolist()
    quiet, loud = (
        limit_table(truth, few, Mock(spectra=40, plates=1, snr=(snr, snr)), SEEN).to_pandas() for snr in (100.0, 25.0)
    )
    teff = quiet["label"] == "feh"
    ratio = loud["bound"][teff] / quiet["bound"][teff]
    assert ratio.between(2, 5).all()  # a quarter of the S/N; background and calibration change the rest
    narrow = limit_table(truth, few, Mock(spectra=40, plates=1, snr=(100.0, 100.0)), (5000.0, 6000.0)).to_pandas()
    assert (narrow["bound"] >= quiet["bound"] * (1 - 1e-6)).all()


def test_the_table_is_in_units_of_the_limit(tmp_path):
    """Predictions of a known error against a truth that is not the catalogue's."""
    made = predictions(["feh"], stars=300, error=1.0, visits=1)
    rows = made.to_pandas()
    truth = rows["truth"].to_numpy() + np.where(rows["class"] == "A", 0.3, 0.0)  # the catalogue has an offset
    limits = pa.table(
        {
            "obsid": rows["obsid"], "class": rows["class"], "snr_g": np.where(np.arange(300) % 2, 40.0, 150.0),
            "label": ["feh"] * 300, "truth": truth, "bound": np.full(300, 0.06), "bound_prior": np.full(300, 0.05),
        }
    )  # fmt: skip
    for name in ("good", "bad"):
        (tmp_path / name / "all").mkdir(parents=True)
    good, bad = (tmp_path / name / "all" / "test.parquet" for name in ("good", "bad"))
    pq.write_table(made, good)
    pq.write_table(predictions(["feh"], stars=300, error=2.0, visits=1, failed=3), bad)
    table = limit_rows(
        limits, {"good": good, "bad": bad}, ["feh"], task="t", size="all", groups=list(CLASSES)
    ).set_index(["class", "snr"])
    assert len(table) == 6 * (1 + len(BINS))
    every = table.loc[("All", "All")]
    assert (every["n"], every["n_stars"], every["set"]) == (297, 297, "test")  # three are not answered by one
    assert every["good"] == pytest.approx(0.1 / 0.05, rel=0.1) and every["bad"] == pytest.approx(0.2 / 0.05, rel=0.1)
    assert every["bound"] == 0.06 and every["r2_limit"] == pytest.approx(1 - 0.05**2 / np.var(truth[3:]), rel=1e-6)
    assert table.loc[("All", "S/N < 50")]["n"] + table.loc[("All", "S/N > 100")]["n"] == 297
    assert table.loc[("All", "S/N 50 to 100")]["n"] == 0 and np.isnan(table.loc[("All", "S/N 50 to 100")]["good"])
    assert table.loc[("A", "All")]["good"] == pytest.approx(2, rel=0.25)  # the offset is no scatter


def test_a_bound_wider_than_the_labels_range_is_left_empty(tmp_path):
    made = predictions(["c_fe"], stars=20, visits=1)
    rows = made.to_pandas()
    limits = pa.table(
        {
            "obsid": rows["obsid"], "class": rows["class"], "snr_g": np.full(20, 60.0), "label": ["c_fe"] * 20,
            "truth": rows["truth"], "bound": np.full(20, 1e4), "bound_prior": np.full(20, 0.1),
        }
    )  # fmt: skip
    (tmp_path / "m" / "all").mkdir(parents=True)
    pq.write_table(made, tmp_path / "m" / "all" / "test.parquet")
    paths = {"m": tmp_path / "m" / "all" / "test.parquet"}
    table = limit_rows(limits, paths, ["c_fe"], task="t", size="all", groups=["A"])
    assert table["bound"].isna().all() and table["bound_prior"][0] == pytest.approx(0.1)


def test_every_label_of_a_mock_star_has_a_bound(limits):
    assert set(limits["label"]) == set(LABELS) and len(limits) == 150 * len(LABELS)
    assert np.isfinite(limits[["bound_prior", "truth", "snr_g"]]).all(axis=None)
