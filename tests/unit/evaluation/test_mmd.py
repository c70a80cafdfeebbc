"""The maximum mean discrepancy against the sum that defines it, and its interval against new samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from prediction_tables import predictions
from scipy.spatial.distance import cdist

from starglot.evaluation.transfer import mmd
from starglot.evaluation.transfer.mmd import mmd_of_pairs, mmd_squared
from starglot.evaluation.transfer.planes import mmd_table, plane_of
from starglot.plots.transfer.planes import draw_abundance_planes
from starglot.tables import PREDICTION, write_parquet


def brute(x: np.ndarray, y: np.ndarray, gamma: float = 2.0) -> float:
    """The paper's equation 1, with whole matrices."""
    m, n = len(x), len(y)
    same = [np.exp(-gamma * cdist(one, one, "sqeuclidean")) for one in (x, y)]
    inner = [(each.sum() - np.trace(each)) / (len(each) * (len(each) - 1)) for each in same]
    return sum(inner) - 2 * np.exp(-gamma * cdist(x, y, "sqeuclidean")).sum() / (m * n)


@pytest.mark.parametrize(("m", "n"), [(2, 2), (37, 90), (130, 64)])
def test_blocks_add_up_to_the_whole_matrix(m: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmd, "_BLOCK", 32)
    random = np.random.default_rng(m)
    x, y = random.normal(size=(m, 2)), random.normal(0.3, 1.2, size=(n, 2))
    assert mmd_squared(x, y) == pytest.approx(brute(x, y), rel=1e-10, abs=1e-14)


def test_it_is_unbiased_and_sees_a_shift() -> None:
    random = np.random.default_rng(0)
    alike = [mmd_squared(*random.normal(size=(2, 60, 2))) for _ in range(400)]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / 20 and min(alike) < 0
    x, y = random.normal(size=(60, 2)), random.normal(1.5, 1, size=(60, 2))
    assert mmd_squared(x, y) > 5 * np.std(alike)


def test_pairs_are_of_different_stars_and_a_star_is_left_out_with_all_its_spectra() -> None:
    random = np.random.default_rng(1)
    star = np.repeat(np.arange(12), 1 + np.arange(12) % 3)
    x = random.normal(size=(len(star), 2))
    y = x + random.normal(0.5, 0.5, size=x.shape)

    def between(chosen: np.ndarray) -> float:
        kernel = [np.exp(-2 * cdist(a[chosen], b[chosen], "sqeuclidean")) for a, b in ((x, x), (y, y), (x, y))]
        apart = star[chosen][:, None] != star[chosen][None, :]
        return float((kernel[0] + kernel[1] - 2 * kernel[2])[apart].sum() / apart.sum())

    left = np.array([between(star != one) for one in range(12)])
    error = np.sqrt(11 / 12 * ((left - left.mean()) ** 2).sum())
    value, low, high = mmd_of_pairs(x, y, star, 0.95)
    assert value == pytest.approx(between(star >= 0))
    assert (value - low, high - value) == pytest.approx((1.959964 * error,) * 2)


def test_the_interval_holds_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)

    def sample(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = random.normal(0, 0.4, size=(n, 2))
        return x, 0.7 * x + random.normal(0.15, 0.1, size=x.shape)

    truth = brute(*sample(4000))
    inside = 0
    for _ in range(200):
        _, low, high = mmd_of_pairs(*sample(80), np.arange(80), 0.95)
        inside += low <= truth <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_too_few_points_have_none() -> None:
    points = np.zeros((1, 2))
    assert np.isnan(mmd_squared(points, points))
    assert np.isnan(mmd_of_pairs(np.zeros((2, 2)), np.ones((2, 2)), np.array([0, 1]), 0.95)[1:]).all()


def test_planes_are_of_spectra_with_both_labels(tmp_path: Path) -> None:
    made = predictions(["feh", "mg_fe"], stars=90, error=1.5, failed=4).to_pandas()
    made["label"] = made["label"].replace("mg_fe", "alpha_fe")
    made.loc[(made["label"] == "alpha_fe") & (made["obsid"] == 700), "truth"] = np.nan
    made = made.astype({"truth": float, "value": float})
    path = tmp_path / "test.parquet"
    write_parquet(pa.Table.from_pandas(made, schema=PREDICTION, preserve_index=False), path, {})
    plane = plane_of(path)
    ok = made[(made["status"] == "ok") & made["truth"].notna()].pivot(index="obsid", columns="label", values="value")
    expected = ok.dropna()[["feh", "alpha_fe"]].to_numpy()
    assert len(plane.star) == len(expected) < made["obsid"].nunique()
    assert np.array_equal(plane.predicted[np.lexsort(plane.predicted.T)], expected[np.lexsort(expected.T)])
    table = mmd_table({("t", "m", "all", "test"): plane}, {"m": "lora"})
    assert table.loc[0, "strategy"] == "lora" and table.loc[0, "n_stars"] <= 90
    draw_abundance_planes({("t", "m", "all", "test"): plane}, table, tmp_path / "planes", "Planes")
    assert (tmp_path / "planes.png").is_file()
