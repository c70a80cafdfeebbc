"""Scaling laws: known laws are recovered, intervals cover, and points that follow none are told so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.optimize import least_squares

from refusals import refused
from starglot.evaluation.sweeps.points import Trained
from starglot.evaluation.sweeps.power_law import fit_power_law, judge_law
from starglot.evaluation.sweeps.scaling import scaling_tables
from starglot.plots.scaling import draw_scaling
from starglot.tables import PREDICTION

N = np.array([200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0])


@pytest.mark.parametrize("sigma_inf, a, alpha", [(30.0, 900.0, 0.5), (0.0, 400.0, 0.25), (10.0, 9e4, 1.2)])
def test_a_law_without_noise_is_recovered(sigma_inf: float, a: float, alpha: float) -> None:
    sigma = sigma_inf + a * N**-alpha
    law = fit_power_law(N, sigma, 0.02 * sigma)
    assert law.sigma_inf[0] == pytest.approx(sigma_inf, abs=0.02)
    assert law.a[0] == pytest.approx(a, rel=1e-3)
    assert law.alpha[0] == pytest.approx(alpha, rel=1e-3)
    assert law.at(1e5)[0] == pytest.approx(sigma_inf + a * 1e5**-alpha, abs=0.02)


def test_no_law_is_nearer_than_scipys() -> None:
    rng = np.random.default_rng(1)
    true = 20 + 900 * N**-0.45
    error = 0.02 * true
    sigma = true + error * rng.normal(size=(12, len(N)))
    ours = fit_power_law(N, sigma, error)
    for row, values in enumerate(sigma):

        def left(p: np.ndarray, values: np.ndarray = values) -> np.ndarray:
            return (p[0] + p[1] * (N / 1e3) ** -p[2] - values) / error

        found = [
            least_squares(left, [10, 30, start], bounds=([0, 0, 0.01], [np.inf, np.inf, 3]), x_scale=[10, 10, 0.1])
            for start in (0.1, 0.5, 1.5)
        ]
        best = min(float(2 * each.cost) for each in found)
        mine = float(np.sum(((ours.at(N)[row] - values) / error) ** 2))
        assert mine <= best * (1 + 1e-4) + 1e-4


def test_intervals_cover_the_truth() -> None:
    """Percentile intervals of a law with noise of 1 %, over 150 worlds."""
    rng = np.random.default_rng(2)
    alpha, beyond = 0.5, 20 + 900 * 1e5**-0.5
    true = 20 + 900 * N**-alpha
    error = 0.01 * true
    hits = {"alpha": 0, "sigma": 0}
    for _ in range(150):
        seen = true + error * rng.normal(size=len(N))
        drawn = fit_power_law(N, seen + error * rng.normal(size=(200, len(N))), error)
        for name, values, truth in (("alpha", drawn.alpha, alpha), ("sigma", drawn.at(1e5), beyond)):
            low, high = np.quantile(values, [0.025, 0.975])
            hits[name] += int(low <= truth <= high)
    assert 0.88 <= hits["alpha"] / 150 <= 1.0
    assert 0.88 <= hits["sigma"] / 150 <= 1.0


@pytest.mark.parametrize(
    "sigma, noise, verdict, said",
    [
        (20 + 900 * N**-0.5, 0.005, None, None),
        (50 * N**0.05, 0.01, "no power law", "sigma rises with N"),
        (np.full(6, 50.0), 0.02, "no power law", "sigma does not fall measurably"),
        (np.array([80.0, 50.0, 70.0, 45.0, 60.0, 40.0]), 0.01, "no power law", "is off the curve by"),
        (50 * N**-0.015, 0.01, "not shown", "reaches down to 0"),
        (np.array([90.0, 50.0, 50.0, 50.0, 50.0, 50.0]), 0.01, "not shown", "alpha has no upper end"),
    ],
)
def test_points_that_follow_no_law_are_told_so(
    sigma: np.ndarray, noise: float, verdict: str | None, said: str | None
) -> None:
    rng = np.random.default_rng(3)
    copies = sigma * (1 + noise * rng.normal(size=(400, len(N))))
    error = noise * sigma
    reasons = judge_law(N, sigma, copies, fit_power_law(N, sigma, error), fit_power_law(N, copies, error), 0.95)
    if verdict is None:
        assert reasons == []
    else:
        assert any(each == verdict and said in why for each, why in reasons), reasons


def test_three_sizes_cannot_test_a_law() -> None:
    n, sigma = N[:3], 20 + 900 * N[:3] ** -0.5
    copies = sigma * (1 + 0.002 * np.random.default_rng(4).normal(size=(300, 3)))
    law, drawn = fit_power_law(n, sigma, sigma), fit_power_law(n, copies, sigma)
    assert "3 points determine the curve exactly and cannot test it" in [
        why for _, why in judge_law(n, sigma, copies, law, drawn, 0.95)
    ]


# ---------------------------------------------------------------- from prediction tables


def sweep(folder: Path, **known: Any) -> list[Trained]:
    """Models whose errors are normal with sigma(N) = 10 + 900 N^-0.5, over seeds and passes."""
    given = {"kind": "ridge", "seeds": (0,), "passes": (1.0,), "stars": 600, "gain": 1.0, "seen": False} | known
    rng, found = np.random.default_rng(5), []
    unit = rng.normal(size=given["stars"])  # the stars' own: all models find the same ones hard
    for size in (300, 600, 1200, 2400, 4800):
        for passes in given["passes"]:
            for seed in given["seeds"]:
                name = "model" + (f".s{seed}" if seed else "") + (f".x{passes:g}" if passes != 1 else "")
                sigma = (10 + 900 * size**-0.5) * (1 + 0.01 * rng.normal()) * given["gain"] ** (passes > 1)
                stars = range(given["stars"] - (size == given.get("short")))
                error = sigma * (0.8 * unit + 0.6 * rng.normal(size=given["stars"]))
                rows = [
                    dict.fromkeys(PREDICTION.names)
                    | {"obsid": star, "star_id": f"s{star}", "class": "G", "label": "teff", "status": "ok"}
                    | {"truth": 5000.0, "value": 5000.0 + error[star], "seen": given["seen"] and star == 3}
                    for star in stars
                ]
                path = folder / f"{name}-{size}.parquet"
                pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTION), path)
                drawn = None if given["kind"] == "ridge" else seed
                manifest = {"kind": given["kind"], "seed": drawn, "counts": {"examples": int(size * passes * 10)}}
                found.append(Trained(name, str(size), str(path), manifest, size))
    return found


def test_a_sweep_that_follows_a_law(tmp_path: Path) -> None:
    points, laws = scaling_tables(sweep(tmp_path), ["teff"], task="atmosphere", replicates=300)
    assert points["n_train"].tolist() == [300, 600, 1200, 2400, 4800]
    expected = 10 + 900 * points["n_train"].to_numpy() ** -0.5
    assert ((points["sigma_lo"] < expected * 1.03) & (expected * 0.97 < points["sigma_hi"])).all()
    (law,) = laws.to_dict("records")
    assert law["verdict"] == "power law" and law["because"] is None
    assert law["alpha_lo"] < 0.5 < law["alpha_hi"]
    assert law["sigma_inf_lo"] <= 10 < law["sigma_inf_hi"]
    assert law["n_beyond"] == 48000
    assert law["beyond_lo"] < 10 + 900 * 48000**-0.5 < law["beyond_hi"]
    draw_scaling(points, laws, tmp_path / "figure", "Scaling", "Tried.")
    assert (tmp_path / "figure.png").stat().st_size > 10_000 and (tmp_path / "figure.svg").is_file()


@pytest.mark.parametrize("low, high", [(200, 1500), (1e5, 1.5e6), (300, 1e6), (20, 5e8), (400, 1100)])
@pytest.mark.parametrize("sigma", [(80.0, 700.0), (0.11, 0.13), (0.005, 0.9)])
def test_axes_have_ticks_to_read(tmp_path: Path, low: float, high: float, sigma: tuple[float, float]) -> None:
    points, laws = scaling_tables(sweep(tmp_path), ["teff"], task="atmosphere", replicates=10)
    points["n_train"] = np.geomspace(low, high, len(points))
    for column in ("sigma", "sigma_lo", "sigma_hi"):
        points[column] = np.geomspace(*reversed(sigma), len(points))
    draw_scaling(points, laws.iloc[:0], tmp_path / "ticks", "Scaling", "Tried.")
    svg = (tmp_path / "ticks.svg").read_text()
    _, across, upwards = re.split(r'id="matplotlib\.axis_[12]"', svg)
    for drawn, (lowest, highest) in ((across, (low, high)), (upwards, sigma)):
        texts = re.findall(r"<!-- ([0-9.eE+-]+)([kMG]?) -->", drawn)
        values = [float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit] for number, unit in texts]
        assert 2 <= sum(lowest / 1.1 <= value <= highest * 1.1 for value in values) <= 10, texts


def test_training_must_have_converged(tmp_path: Path) -> None:
    network = {"kind": "cnn", "seeds": (0, 1)}
    _, laws = scaling_tables(sweep(tmp_path, **network), ["teff"], task="atmosphere", replicates=200)
    assert laws["verdict"].tolist() == ["not shown"]
    assert "convergence is not checked" in laws["because"][0]

    twice = sweep(tmp_path, **network, passes=(1.0, 4.0))
    points, laws = scaling_tables(twice, ["teff"], task="atmosphere", replicates=200)
    assert set(points["converged"]) == {"more passes gain nothing"}
    assert laws["verdict"].tolist() == ["power law", "power law"]
    assert points["seeds"].tolist() == [2] * 10 and (points["seed_scatter"] > 0).all()

    late = sweep(tmp_path, **network, passes=(1.0, 4.0), gain=0.7)
    points, laws = scaling_tables(late, ["teff"], task="atmosphere", replicates=200)
    said = points.groupby("passes")["converged"]
    assert said.get_group(1.0).str.fullmatch("not yet: 4 times the passes gain [23]. %").all()
    assert said.get_group(4.0).str.fullmatch("not yet, it seems: the last 4 times the passes gained [23]. %").all()
    assert laws["verdict"].tolist() == ["not shown", "not shown"]
    assert "training has not converged, as far as can be seen, at 300, 600" in laws["because"][0]


def test_one_seed_of_a_model_that_draws_is_not_enough(tmp_path: Path) -> None:
    models = sweep(tmp_path, kind="cnn", passes=(1.0, 4.0))
    _, laws = scaling_tables(models, ["teff"], task="atmosphere", replicates=200)
    assert all("one seed" in why for why in laws["because"])


def test_examples_seen_are_an_axis_of_their_own(tmp_path: Path) -> None:
    models = sweep(tmp_path, kind="cnn", seeds=(0, 1), passes=(0.5, 1.0, 2.0, 4.0))
    _, laws = scaling_tables(models, ["teff"], task="atmosphere", replicates=200)
    (examples,) = laws[laws["axis"] == "examples"].to_dict("records")
    assert examples["n_sizes"] == 4 and examples["n_beyond"] == 10 * 4 * 48000
    assert examples["verdict"] == "no power law" and "does not fall" in examples["because"]


def test_test_sets_that_differ_are_refused(tmp_path: Path) -> None:
    with refused(599, 600, where="1200", todo="snakemake scaling"):
        scaling_tables(sweep(tmp_path, short=1200), ["teff"], task="atmosphere", replicates=20)
    with refused(where="model at size 300"):
        scaling_tables(sweep(tmp_path, seen=True), ["teff"], task="atmosphere", replicates=20)
