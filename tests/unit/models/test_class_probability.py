"""Probabilities of classes: scaled so that they hold, counted by what they state."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from starglot.evaluation.calibration import calibrate
from starglot.evaluation.class_probability import class_reliability, fit_probability, with_probability
from starglot.models.class_probability import fit_odds, likeliest, log_odds, probability
from starglot.tables import PREDICTION


def table(stated, right):
    """Two rows for each spectrum: G as told, and the catalogue's class."""
    rows = [
        {
            "obsid": at,
            "star_id": f"s{at}",
            "class": "G" if true else "K",
            "class_pred": "G",
            "class_log_odds": None if p is None else float(log_odds(np.array(p))),
            "label": label,
            "status": "ok",
            "seen": False,
        }
        for at, (p, true) in enumerate(zip(stated, right, strict=True))
        for label in ("teff", "logg")
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTION)


def too_sure(n, seed):
    """Answers that state more than they hold: right as often as half of the log-odds say."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(4, 2, n)
    return 1 / (1 + np.exp(-odds)), rng.random(n) < 1 / (1 + np.exp(-odds / 2))


def test_it_is_a_logistic_regression_of_the_log_odds():
    stated, right = too_sure(3000, seed=1)
    fitted = fit_probability(table(stated, right))
    odds = np.log(stated / (1 - stated))[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(odds, right)
    assert fitted["n"] == 3000  # not 6000: a row a label
    assert fitted["slope"] == pytest.approx(theirs.coef_[0, 0], abs=0.02)
    assert fitted["intercept"] == pytest.approx(theirs.intercept_[0], abs=0.05)


def test_calibrated_probabilities_hold_on_other_stars():
    val, test = (table(*too_sure(4000, seed)) for seed in (2, 3))
    before, after = (class_reliability(each) for each in (with_raw(test), calibrate(val, test)[0]))
    for frame, honest in ((before, False), (after, True)):
        whole = frame[frame["stated"] == "all"].iloc[0]
        assert whole["n"] == 4000
        off = abs(whole["mean probability"] - whole["share right"]) / whole["standard error"]
        assert off < 3 if honest else off > 10
    assert (abs(after["mean probability"] - after["share right"]) < 4 * after["standard error"] + 0.01).all()
    assert after["n"].iloc[:-1].sum() == 4000


def with_raw(table):
    at = table.column_names.index("class_probability")
    return table.set_column(at, table.schema.field(at), pa.array(expit(table["class_log_odds"].to_numpy())))


def test_few_validation_spectra_scale_nothing_and_certainty_stays_finite():
    assert fit_probability(table([0.9] * 29, [True] * 29)) == {"slope": 1.0, "intercept": 0.0, "n": 29}
    votes = table([1.0] * 400, [at % 20 > 0 for at in range(400)])  # a model that states nothing but certainty
    found = with_probability(votes, fit_probability(votes))["class_probability"].to_numpy()
    assert found == pytest.approx(np.full(800, 0.95), abs=0.005)
    always = table([0.97] * 400, [True] * 400)
    assert 0.97 < with_probability(always, fit_probability(always))["class_probability"][0].as_py() < 1


def test_a_model_that_is_wildly_sure_is_scaled_by_its_margins():
    """Discriminants with the scatter of their training spectra: every probability would be 1 to the last digit."""
    rng = np.random.default_rng(4)
    odds = 3000 * rng.exponential(size=2000)
    right = rng.random(2000) < expit(odds / 1500)
    fitted = fit_odds(odds, right.astype(float))
    assert fitted["slope"] == pytest.approx(1 / 1500, rel=0.15) and abs(fitted["intercept"]) < 0.3
    assert probability(odds, fitted).mean() == pytest.approx(right.mean(), abs=0.005)


def test_log_odds_of_scores():
    scores = np.log([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]) + np.array([[5.0], [-900.0]])
    code, odds = likeliest(scores)
    assert code.tolist() == [0, 2] and odds == pytest.approx([np.log(0.7 / 0.3), 0.0])
    assert likeliest(np.array([[1.0, -np.inf]]))[1] == likeliest(np.ones((1, 1)))[1] == log_odds(np.ones(1))


def test_without_a_class_or_a_scale_there_is_none():
    rows = table([0.9, None], [True, True])
    assert with_probability(rows, {"slope": 1.0, "intercept": 0.0, "n": 0})["class_probability"].null_count == 2
    assert with_probability(rows, None)["class_probability"].null_count == 4
    assert class_reliability(rows).empty
