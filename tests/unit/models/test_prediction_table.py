"""The table that every model's answers become."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from starglot.models.predictions import Predicted, are_seen, label_values, prediction_table
from starglot.tables import PREDICTION

STARS = pa.table({"obsid": [7, 9], "star_id": ["gaia:1", "gaia:2"], "class": ["G", None]})


def test_a_row_for_each_spectrum_and_label_with_null_for_what_is_missing():
    told = Predicted(
        value=[[5700.0, np.nan], [4800.0, 2.5]],
        sigma=[[80.0, 0.1], [np.inf, 0.2]],
        status=["ok", "unparsable", "ok", "ok"],
        letter=["G", "G", None, None],
        log_odds=[0.9, 0.9, np.nan, np.nan],
    )
    truth = np.array([[5772.0, 4.4], [np.nan, 2.4]])
    table = prediction_table(STARS, ["teff", "logg"], truth, told, pa.array([True, False]))
    assert table.schema.equals(PREDICTION)
    assert table.to_pydict() == {
        "obsid": [7, 7, 9, 9],
        "star_id": ["gaia:1", "gaia:1", "gaia:2", "gaia:2"],
        "class": ["G", "G", None, None],
        "class_pred": ["G", "G", None, None],
        "class_probability": [None] * 4,
        "class_log_odds": [0.9, 0.9, None, None],
        "label": ["teff", "logg", "teff", "logg"],
        "truth": [5772.0, 4.4, None, 2.4],
        "value": [5700.0, None, 4800.0, 2.5],
        "sigma": [None] * 4,
        "sigma_raw": [80.0, 0.1, None, 0.2],
        "status": ["ok", "unparsable", "ok", "ok"],
        "seen": [True, True, False, False],
    }


@pytest.mark.parametrize("known", [{"gaia:2", "gaia:5"}, ["gaia:2"], pa.array(["gaia:2"])])
def test_stars_of_the_training_are_seen(known):
    assert are_seen(STARS, known).to_pylist() == [False, True]


def test_a_label_without_a_column_is_missing_throughout():
    values = label_values(pa.table({"teff": [5000.0, None]}), ["teff", "mg_fe"])
    np.testing.assert_array_equal(values, [[5000.0, np.nan], [np.nan, np.nan]])
