"""Ensembles against weights worked out by hand."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit

from refusals import refused
from starglot.config.kinds.baselines import Ensemble
from starglot.models.baselines.ensemble import best_weights, combine, fit_ensemble
from starglot.tables import PREDICTION
from tasks import task_of

TASK = task_of("atmosphere", ["teff", "logg"], source="lamost", balanced=True, sizes={"s": 4})
FITTED = Ensemble(kind="ensemble", members=["a", "b"])
BY_VARIANCE = Ensemble(kind="ensemble", members=["a", "b"], weights="inverse_variance")


def table(value, truth, sigma=None, letters=None, true="G", status="ok", stated=None):
    """Predictions of two labels: (n, 2) value, truth and sigma; letters: the class told by row of the sky; stated:
    its probability."""
    n = len(value)
    value, truth = np.asarray(value, float), np.asarray(truth, float)
    sigma = np.full((n, 2), np.nan) if sigma is None else np.broadcast_to(sigma, (n, 2))

    def flat(array):
        return pa.array(array.reshape(-1), pa.float64(), mask=np.isnan(array.reshape(-1)))

    return pa.table(
        {
            "obsid": np.repeat(np.arange(n), 2),
            "star_id": [f"s{i}" for i in range(n) for _ in range(2)],
            "class": [true] * (2 * n) if isinstance(true, str) else [c for c in true for _ in range(2)],
            "class_pred": pa.array([c for c in letters or [None] * n for _ in range(2)], pa.string()),
            "class_probability": pa.nulls(2 * n, pa.float64()),
            "class_log_odds": flat(np.repeat(logit(np.array(stated or [np.nan] * n, float)), 2)),
            "label": ["teff", "logg"] * n,
            "truth": flat(truth),
            "value": flat(value),
            "sigma": pa.nulls(2 * n, pa.float64()),
            "sigma_raw": flat(np.array(sigma, float)),
            "status": np.where(np.isnan(value.reshape(-1)), "unparsable", status).tolist(),
            "seen": [False] * (2 * n),
        }
    ).cast(PREDICTION)


def test_weights_by_hand():
    # Errors +-1 and +-2 with no correlation: S = diag(1, 4), weights 4/5 and 1/5.
    errors = np.array([[1, 1, -1, -1], [2, -2, 2, -2.0]])
    assert best_weights(errors) == pytest.approx([0.8, 0.2])
    # S = [[1, 1.8], [1.8, 4]]: S^-1 1 is along (2.2, -0.8); the second has no part in the best without negatives.
    a = np.array([1.0, 1, -1, -1])
    b = 1.8 * a + np.array([1, -1, 1, -1]) * np.sqrt(4 - 1.8**2)
    assert best_weights(np.stack([a, b])) == pytest.approx([1, 0])
    # Three alike: a third each.
    alike = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1.0]])
    assert best_weights(alike) == pytest.approx([1 / 3] * 3)


@pytest.fixture(scope="module")
def validation():
    """Teff errors +-10 and +-20, uncorrelated; logg errors +-0.4 and +-0.2; b's sigma of Teff is half its error."""
    n = 40
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]] * (n // 4), float)
    truth = np.stack([np.linspace(4000, 6000, n), np.linspace(1, 5, n)], axis=1)
    a = truth + signs[:, :1] * [10, 0.4]
    b = truth + signs[:, 1:] * [20, 0.2]
    true = ["G", "K"] * (n // 2)
    told_a = ["G"] * (n // 2) + true[n // 2 :]  # three in four are right
    told_b = [*true[:-4], "A", "A", "A", "A"]  # nine in ten
    return [table(a, truth, [10, 0.4], told_a, true), table(b, truth, [10, 0.2], told_b, true)]


def test_fitted_weights_and_their_uncertainty(validation):
    fitted = fit_ensemble(FITTED, TASK, validation)
    assert fitted["labels"]["teff"]["weight"] == pytest.approx([0.8, 0.2])
    assert fitted["labels"]["logg"]["weight"] == pytest.approx([0.2, 0.8])
    assert fitted["labels"]["teff"]["sigma_scale"] == pytest.approx([1, 2])
    assert fitted["labels"]["teff"]["val_rmse"] == pytest.approx(np.sqrt(0.64 * 100 + 0.04 * 400))
    new = [table([[5000, 2.0]], [[0, 0]], [10, 0.4]), table([[5100, 3.0]], [[0, 0]], [10, 0.2])]
    out = combine(FITTED, TASK, fitted, new)
    assert out.schema == PREDICTION
    by_label = {row["label"]: row for row in out.to_pylist()}
    assert by_label["teff"]["value"] == pytest.approx(0.8 * 5000 + 0.2 * 5100)
    assert by_label["teff"]["sigma_raw"] == pytest.approx(np.hypot(0.8 * 10, 0.2 * 20))
    assert by_label["logg"]["value"] == pytest.approx(2.8)


def test_inverse_variance_weighs_each_star_alone(validation):
    fitted = fit_ensemble(BY_VARIANCE, TASK, validation)
    # Sigma 30 of a, and 5 x 2 of b: weights 1/900 and 1/100.
    new = [table([[5000, 2.0]], [[0, 0]], [30, 0.4]), table([[5100, 3.0]], [[0, 0]], [5, 0.2])]
    teff = next(row for row in combine(BY_VARIANCE, TASK, fitted, new).to_pylist() if row["label"] == "teff")
    assert teff["value"] == pytest.approx((5000 / 900 + 5100 / 100) / (1 / 900 + 1 / 100))
    assert teff["sigma_raw"] == pytest.approx((1 / 900 + 1 / 100) ** -0.5)


@pytest.mark.parametrize("settings", [FITTED, BY_VARIANCE])
def test_who_does_not_answer_is_left_out(validation, settings):
    fitted = fit_ensemble(settings, TASK, validation)
    new = [table([[np.nan, np.nan], [5000, 2.0]], np.zeros((2, 2)), [10, 0.4])]
    new.append(table([[5100, np.nan], [np.nan, np.nan]], np.zeros((2, 2)), None))
    rows = {(row["obsid"], row["label"]): row for row in combine(settings, TASK, fitted, new).to_pylist()}
    assert (rows[0, "teff"]["value"], rows[1, "teff"]["value"], rows[1, "logg"]["value"]) == (5100, 5000, 2.0)
    assert rows[0, "teff"]["sigma_raw"] == pytest.approx(2 * 20)  # no sigma of its own: its scatter, scaled
    assert (rows[0, "logg"]["value"], rows[0, "logg"]["status"]) == (None, "unparsable")
    assert rows[1, "logg"]["sigma_raw"] == pytest.approx(0.4)


def test_the_class_goes_to_the_member_that_is_more_often_right(validation):
    fitted = fit_ensemble(FITTED, TASK, validation)
    # log of 4 x 0.75 / 0.25 and of 4 x 0.9 / 0.1
    assert fitted["class"] == pytest.approx({"a": np.log(12), "b": np.log(36)})
    some = np.zeros((3, 2)) + 1
    new = [table(some, some, 1.0, ["F", "F", None]), table(some, some, 1.0, ["K", None, None])]
    assert combine(FITTED, TASK, fitted, new)["class_pred"].to_pylist()[::2] == ["K", "F", None]


def test_the_class_is_as_probable_as_members_say_by_their_votes(validation):
    fitted = fit_ensemble(FITTED, TASK, validation)
    some, votes = np.zeros((4, 2)) + 1, (np.log(12), np.log(36))
    new = [
        table(some, some, 1.0, ["F", "F", None, "G"], stated=[0.7, 0.8, None, 0.9]),
        table(some, some, 1.0, ["F", "K", None, "G"], stated=[0.9, 0.6, None, None]),
    ]
    whole = combine(FITTED, TASK, fitted, new)
    assert whole["class_pred"].to_pylist()[::2] == ["F", "K", None, "G"]
    # Of five classes, the first member leaves K a quarter of 0.2; the last row has one that says how sure it is.
    expected = [np.average([0.7, 0.9], weights=votes), np.average([0.05, 0.6], weights=votes), 0.9]
    first, second, none, last = whole["class_log_odds"].to_pylist()[::2]
    assert none is None and expit([first, second, last]) == pytest.approx(expected)
    unknown = {key: value for key, value in fitted.items() if key != "class_odds"}  # one of before there were any
    assert combine(FITTED, TASK, unknown, new)["class_log_odds"].null_count == 8


def test_too_few_validation_stars_count_all_the_same(validation):
    few = [rows.slice(0, 20) for rows in validation]
    assert fit_ensemble(FITTED, TASK, few)["labels"]["teff"]["weight"] == [0.5, 0.5]


def test_other_spectra_are_said(validation):
    with refused("'b'", "'a'", where="members", todo="snakemake predict"):
        fit_ensemble(FITTED, TASK, [validation[0], validation[1].slice(2)])
