"""The table of strategies: subsets of stars, R2 and scatters, against numpy, scipy and astropy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.stats import biweight_midvariance, sigma_clip, sigma_clipped_stats
from prediction_tables import predictions

from starglot.evaluation.transfer import robust
from starglot.evaluation.transfer.robust import biweight, clipped
from starglot.evaluation.transfer.tables import METAL_POOR, transfer_table
from starglot.tables import write_parquet


def table_of(tmp_path: Path, made: pa.Table, **strategies: str) -> list[dict]:
    path = tmp_path / "test.parquet"
    write_parquet(made, path, {})
    return transfer_table({("desi_blue", "m", "all", "test"): path}, strategies, replicates=100).to_dict("records")


def test_subsets_are_by_the_true_metallicity_and_r2_is_numpys(tmp_path: Path) -> None:
    made = predictions(["feh", "mg_fe"], stars=400, error=1.0)
    rows = {(row["label"], row["stars"]): row for row in table_of(tmp_path, made, m="lora")}
    feh = {r["obsid"]: r["truth"] for r in made.filter(pc.equal(made["label"], "feh")).to_pylist()}
    for label in ("feh", "mg_fe"):
        mine = [r for r in made.to_pylist() if r["label"] == label]
        for stars, chosen in (
            ("all", lambda it: True),
            ("metal-poor", lambda it: feh[it["obsid"]] < METAL_POOR),
            ("metal-rich", lambda it: feh[it["obsid"]] >= METAL_POOR),
        ):
            some = [r for r in mine if chosen(r)]
            truth, value = (np.array([r[key] for r in some]) for key in ("truth", "value"))
            row = rows[label, stars]
            assert row["n"] == len(some)
            assert row["r2"] == pytest.approx(1 - ((value - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
            clipped = sigma_clipped_stats(value - truth, sigma=3, maxiters=None)[2]
            assert row["clipped"] == pytest.approx(clipped)
            assert row["bias"] == pytest.approx(np.median(value - truth))
            if row["n"] > 100:
                for name in ("r2", "biweight", "clipped"):
                    assert row[f"{name}_lo"] < row[name] < row[f"{name}_hi"]
    assert rows["feh", "all"]["paper_r2"] == 0.922 and np.isnan(rows["mg_fe", "all"]["paper_r2"])


def test_a_strategy_that_the_paper_has_not_stands_without_its_number(tmp_path: Path) -> None:
    assert all(np.isnan(row["paper_r2"]) for row in table_of(tmp_path, predictions(["feh"])))


def test_a_subset_without_stars_is_counted(tmp_path: Path) -> None:
    made = predictions(["feh"], stars=20)
    rich = made.filter(pc.greater(made["truth"], METAL_POOR))
    rows = {row["stars"]: row for row in table_of(tmp_path, rich)}
    assert rows["metal-poor"]["n"] == 0 and np.isnan(rows["metal-poor"]["r2"])


@pytest.mark.parametrize("seed", range(5))
def test_the_biweight_is_tukeys(seed: int) -> None:
    """astropy divides by d squared where the paper has d (d - 1)."""
    random = np.random.default_rng(seed)
    residuals = np.concatenate([random.normal(0.02, 0.1, 500), random.uniform(-3, 3, 20)])
    mad = np.median(np.abs(residuals - np.median(residuals)))
    # Their u has MAD / 0.6745 in it: the c of astropy's is 6 / 0.6745.
    theirs = biweight_midvariance(residuals, c=6 / 0.6745)
    u = ((residuals - np.median(residuals)) / (6 * mad / 0.6745)) ** 2
    d = ((1 - u) * (1 - 5 * u))[u < 1].sum()
    assert biweight(residuals, np.ones((1, len(residuals))))[0] == pytest.approx(
        np.sqrt(theirs * d / (d - 1)), rel=1e-9
    )
    assert biweight(residuals, np.ones((1, len(residuals))))[0] == pytest.approx(0.1, rel=0.15)


def test_equal_residuals_have_no_scatter() -> None:
    assert biweight(np.zeros(10), np.ones((1, 10)))[0] == 0.0


@pytest.mark.parametrize("statistic", ["r2", "biweight", "clipped"])
def test_a_spectrum_with_weight_three_counts_as_three(statistic: str) -> None:
    random = np.random.default_rng(7)
    truth, error = random.normal(size=80), np.concatenate([random.normal(0, 0.1, 74), random.uniform(-2, 2, 6)])
    weights = random.integers(0, 4, size=(20, 80))
    arrays = (truth, error) if statistic == "r2" else (error,)
    found = getattr(robust, statistic)(*arrays, weights)
    for row, value in zip(weights, found, strict=True):
        every = [np.repeat(each, row) for each in arrays]
        assert value == pytest.approx(getattr(robust, statistic)(*every, np.ones((1, row.sum()), int))[0])


def test_clipping_is_astropys() -> None:
    random = np.random.default_rng(8)
    for _ in range(20):
        residuals = np.concatenate([random.normal(0, 0.1, 60), random.standard_t(1, 40)])
        expected = np.std(sigma_clip(residuals, sigma=3, masked=False))
        assert clipped(residuals, np.ones((1, 100), int))[0] == pytest.approx(expected)
