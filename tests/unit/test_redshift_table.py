"""Figures of merit of redshifts against their definitions."""

import numpy as np
import pyarrow as pa
import pytest

from starglot.evaluation.redshifts import NOTES, redshift_table
from starglot.evaluation.tables_io import read_table, write_table
from starglot.plots.redshifts import draw_redshifts
from starglot.tables import PREDICTION, write_parquet

KEY = ("redshift", "net", "all", "test")


def predictions(folder, truth, value, sigma, status=None, star=None):
    n = len(truth)
    columns = {
        "obsid": np.arange(n),
        "star_id": star or [f"g{k}" for k in range(n)],
        "class": [None] * n,
        "class_pred": [None] * n,
        "label": ["redshift"] * n,
        "truth": truth,
        "value": value,
        "sigma": sigma,
        "sigma_raw": sigma,
        "status": status or ["ok"] * n,
        "seen": [False] * n,
    }
    path = folder / "test.parquet"
    write_parquet(pa.table({field.name: pa.array(columns[field.name], field.type) for field in PREDICTION}), path)
    return {KEY: path}


def test_every_number_is_what_its_definition_says(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.01, 0.5, 400)
    value = truth + 3e-4 * rng.standard_normal(400)
    value[:20] += 0.1  # twenty failures, of which the model is unsure
    sigma = np.full(400, 3e-4)
    sigma[:20] = 0.1
    status = ["ok"] * 398 + ["unparsable"] * 2
    given = predictions(tmp_path, truth, [*value[:398], None, None], [*sigma[:398], None, None], status)
    (row,) = redshift_table(given).to_dict("records")
    truth, value = truth[:398], value[:398]
    relative = (value - truth) / (1 + truth)
    assert (row["n"], row["n_unparsable"]) == (398, 2)
    assert row["mae"] == pytest.approx(np.abs(value - truth).mean())
    assert row["nmad"] == pytest.approx(1.4826 * np.median(np.abs(relative - np.median(relative))), rel=1e-4)
    assert row["catastrophic"] == pytest.approx(20 / 398) and row["catastrophic_90"] == 0
    assert row["constant_mae"] == pytest.approx(np.abs(truth - np.median(truth)).mean())
    for name in ("mae", "nmad", "catastrophic"):
        assert row[f"{name}_lo"] < row[name] < row[f"{name}_hi"]


def test_a_thousand_kilometres_a_second_is_the_limit(tmp_path):
    truth = np.array([0.0, 0.0, 1.0, 1.0, 0.2, 0.2])
    beyond = 1001 / 299792.458 * (1 + truth)
    within = 999 / 299792.458 * (1 + truth)
    value = np.where(np.arange(6) % 2, truth + beyond, truth - within)
    (row,) = redshift_table(predictions(tmp_path, truth, value, [0.01] * 6)).to_dict("records")
    assert row["catastrophic"] == 0.5


def test_intervals_are_over_galaxies_and_not_over_spectra(tmp_path):
    rng = np.random.default_rng(1)
    error = np.repeat(0.01 * rng.standard_normal(30), 20)  # twenty spectra of each of thirty galaxies
    truth = np.full(600, 0.1)
    star = [f"g{k // 20}" for k in range(600)]
    width = []
    for names in (star, None):
        (row,) = redshift_table(predictions(tmp_path, truth, truth + error, [0.01] * 600, star=names)).to_dict(
            "records"
        )
        width.append(row["mae_hi"] - row["mae_lo"])
    assert width[0] > 3 * width[1]


def test_the_table_is_printed_to_the_fourth_digit_and_the_figure_drawn(tmp_path):
    truth = np.linspace(0.1, 0.4, 10)
    given = predictions(tmp_path, truth, truth + 0.00042, [0.001] * 10)
    write_table(redshift_table(given), tmp_path / "redshift_1", "Redshifts.", NOTES)
    assert "0.0004" in (tmp_path / "redshift_1.md").read_text()
    assert read_table(tmp_path / "redshift_1.csv")["mae"][0] == pytest.approx(0.00042)
    draw_redshifts(given, tmp_path / "figure", "Redshifts")
    assert (tmp_path / "figure.png").stat().st_size > 5000 and (tmp_path / "figure.svg").is_file()


def test_a_model_without_any_answer_has_a_row_without_numbers(tmp_path):
    given = predictions(tmp_path, [0.1, 0.2], [None, None], [None, None], ["unparsable"] * 2)
    (row,) = redshift_table(given).to_dict("records")
    assert (row["n"], row["n_unparsable"]) == (0, 2) and np.isnan(row["mae"])
