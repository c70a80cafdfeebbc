"""Figures of merit of redshifts against their definitions."""

import numpy as np
import pyarrow as pa
import pytest

from starglot.evaluation.redshifts import NOTES, SURE_NOTES, completeness_table, redshift_table
from starglot.evaluation.tables_io import read_table, write_table
from starglot.plots.redshifts import draw_completeness, draw_redshifts
from starglot.tables import DOUBT, PREDICTION, write_parquet

KEY = ("redshift", "net", "all", "test")


def predictions(folder, truth, value, sigma, status=None, star=None, **doubt):
    n = len(truth)
    columns = {
        "obsid": np.arange(n),
        "star_id": star or [f"g{k}" for k in range(n)],
        "class": [None] * n,
        "class_pred": [None] * n,
        "class_probability": [None] * n,
        "class_log_odds": [None] * n,
        "label": ["redshift"] * n,
        "truth": truth,
        "value": value,
        "sigma": sigma,
        "sigma_raw": sigma,
        "status": status or ["ok"] * n,
        "seen": [False] * n,
    }
    path = folder / "test.parquet"
    schema = [*PREDICTION, *(DOUBT if doubt else [])]
    columns |= doubt
    write_parquet(pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema}), path)
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


def test_failures_among_the_surest_are_counted_by_sigma_and_by_gap(tmp_path):
    rng = np.random.default_rng(2)
    truth = rng.uniform(0.01, 0.5, 100)
    value = truth.copy()
    value[:10] += 0.1
    gap = rng.uniform(10, 50, 100)
    gap[:10] = rng.uniform(0, 8, 10)  # the model knows its failures
    sigma = rng.permutation(np.linspace(1e-4, 1e-3, 100))  # and its sigma does not
    warning = np.where(gap < 9, 4, 0)
    warning[50] = 32
    given = predictions(tmp_path, truth, value, sigma, second=value + 0.2, gap=gap, warning=warning)
    table = completeness_table(given).set_index(["order", "completeness"])
    assert table.loc[("gap", 1.0), "catastrophic"] == table.loc[("sigma", 1.0), "catastrophic"] == 0.1
    assert table.loc[("gap", 0.9), "catastrophic"] == 0 and table.loc[("gap", 0.9), "n"] == 90
    assert table.loc[("gap", 0.95), "catastrophic"] == pytest.approx(5 / 95)
    kept = np.argsort(sigma)[:50]
    assert table.loc[("sigma", 0.5), "catastrophic"] == pytest.approx(np.mean(kept < 10))
    assert table.loc[("gap", 0.5), "mae"] == pytest.approx(0, abs=1e-12)
    low, high = table.loc[("gap", 1.0), ["catastrophic_lo", "catastrophic_hi"]]
    # of 100 independent galaxies: binomial
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.1 * 0.9 / 100), rel=0.2)
    (row,) = redshift_table(given).to_dict("records")
    assert row["warned"] == 0.11 and row["catastrophic_unwarned"] == 0
    write_table(completeness_table(given), tmp_path / "redshift_2", "Redshifts.", SURE_NOTES)
    draw_completeness(given, tmp_path / "sure", "Redshifts")
    assert (tmp_path / "sure.png").stat().st_size > 5000


def test_a_model_without_doubt_is_ordered_by_sigma_alone(tmp_path):
    truth = np.linspace(0.1, 0.4, 30)
    given = predictions(tmp_path, truth, truth + 0.1, [0.01] * 30)
    table = completeness_table(given)
    assert set(table["order"]) == {"sigma"} and (table["catastrophic"] == 1).all()
    assert np.isnan(redshift_table(given)["warned"][0])
    without = predictions(tmp_path, truth, truth + 0.1, [None] * 30)
    assert completeness_table(without).empty
