"""Tables of the papers by number of training spectra: seeds, subsets, what belongs in which, the papers' own rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions

from starglot.evaluation.numbered import OURS, PAPER
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer.parameters import Training, parameters_table
from starglot.evaluation.transfer.sizes import CAPTIONS, Carried, named_table, sizes_table
from starglot.evaluation.transfer.tables import paper_table
from starglot.plots.transfer.parameters import draw_parameters
from starglot.plots.transfer.sizes import draw_sizes
from starglot.tables import write_parquet


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Four strategies at two sizes with two seeds each; models at the larger size err half as much."""
    folder, carried = tmp_path_factory.mktemp("predictions"), []
    for strategy in ("zero_shot", "residual", "lora", "scratch"):
        for n_train in (40, 160):
            paths = []
            for seed in (0, 1):
                error = 1.0 if strategy == "zero_shot" else 40 / n_train + 0.5
                path = folder / f"{strategy}-{n_train}-{seed}.parquet"
                write_parquet(predictions(["feh", "mg_fe"], stars=200, error=error, seed=seed), path, {})
                paths.append(path)
            carried.append(Carried("second", strategy, strategy, "spectra", n_train, paths))
    return sizes_table(carried, replicates=60)


def test_rows_are_means_over_seeds_with_intervals_over_stars(ours: pd.DataFrame) -> None:
    row = ours[
        (ours.strategy == "lora") & (ours.n_train == 160) & (ours.label == "feh") & (ours.stars == "all")
    ].iloc[0]
    tables = [predictions(["feh", "mg_fe"], stars=200, error=0.75, seed=seed).to_pandas() for seed in (0, 1)]
    r2 = []
    for table in tables:
        mine = table[table.label == "feh"]
        r2.append(1 - ((mine.value - mine.truth) ** 2).sum() / ((mine.truth - mine.truth.mean()) ** 2).sum())
    assert row["r2"] == pytest.approx(np.mean(r2)) and row["r2_seeds"] == pytest.approx(np.std(r2, ddof=1))
    assert row["n"] == len(mine) and row["n_stars"] == 200 and row["seeds"] == 2
    for name in ("r2", "biweight", "clipped"):
        assert row[f"{name}_lo"] < row[name] < row[f"{name}_hi"]


def test_zero_shot_stands_once_and_has_learnt_from_none(ours: pd.DataFrame) -> None:
    zero = ours[(ours.strategy == "zero_shot") & (ours.label == "feh") & (ours.stars == "all")]
    assert zero["n_train"].tolist() == [0]


def test_each_table_has_its_rows_and_the_papers(ours: pd.DataFrame) -> None:
    tables = {name: named_table(name, ours) for name in CAPTIONS}
    mine = {name: table[table.source == OURS] for name, table in tables.items()}
    assert set(mine["specclip_1"].strategy) == {"zero_shot", "lora"} and set(mine["specclip_1"].label) == {"feh"}
    of = mine["transfer_a1"].groupby("label")["strategy"].agg(set)
    assert of["feh"] == {"zero_shot", "scratch", "residual"} and of["mg_fe"] == {"zero_shot", "scratch", "lora"}
    assert set(mine["transfer_a2"].strategy) == {"zero_shot", "residual", "lora", "scratch"}
    for name, table in tables.items():
        theirs = table[table.source == PAPER]
        assert len(theirs) == (paper_table(name)["label"] == "feh").sum()  # mg_fe is none of the papers' labels
        assert theirs[["r2_lo", "interval"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("table", "said", "expected"),
    [
        ("transfer_1", ("feh", "embed-split", "lora", 2069, "metal-rich"), 0.930),
        ("transfer_1", ("alpha_fe", "spectra", "scratch", 2069, "metal-poor"), 0.067),
        ("transfer_a1", ("feh", "embed-align", "residual", 500, "metal-poor"), -0.233),
        ("transfer_a1", ("alpha_fe", "embed", "zero_shot", 0, "all"), 0.730),
        ("transfer_a2", ("feh", "spectra", "full", 100, "metal-rich"), 0.858),
        ("transfer_a2", ("alpha_fe", "spectra", "scratch", 200, "all"), -0.381),
        ("specclip_1", ("feh", "embed-align", "LoRA4", 89, "metal-rich"), 0.5106),
    ],
)
def test_the_papers_numbers_are_as_printed(table: str, said: tuple, expected: float) -> None:
    rows = paper_table(table)
    names = ("label", "input", "strategy", "n_train", "stars")
    (row,) = rows[(rows[list(names)] == list(said)).all(axis=1)].to_dict("records")
    assert row["r2"] == expected
    assert not rows.duplicated(list(names)).any()


def test_tables_and_curves_are_written(ours: pd.DataFrame, tmp_path: Path) -> None:
    for name, caption in CAPTIONS.items():
        write_table(named_table(name, ours), tmp_path / name, caption)
    assert "embed-split" in (tmp_path / "transfer_a1.md").read_text()
    draw_sizes(ours, tmp_path / "sizes", "Sizes")
    draw_sizes(ours[:0], tmp_path / "nothing", "Nothing")
    assert (tmp_path / "sizes.png").stat().st_size > 10_000 and (tmp_path / "nothing.svg").is_file()


def test_models_are_told_by_what_they_train_and_by_their_rate(ours: pd.DataFrame, tmp_path: Path) -> None:
    large = ours[ours.n_train != 40]
    trainings = {"residual": Training(500, 1e-3), "scratch": Training(9000, 1e-5), "zero_shot": Training(0, 1e-3)}
    table = parameters_table(large, trainings)
    assert set(table["model"]) == {"residual", "scratch"}  # lora's training is not told, zero-shot takes no step
    mine = table[table["strategy"] == "scratch"]
    assert set(mine["trained"]) == {9000} and set(mine["learning_rate"]) == {1e-5}
    theirs = large[large["strategy"] == "scratch"].set_index(["label", "stars"])["r2"]
    pd.testing.assert_series_equal(mine.set_index(["label", "stars"])["r2"], theirs, check_like=True)
    write_table(table, tmp_path / "parameters", "Mock")
    assert " 1e-05 |" in (tmp_path / "parameters.md").read_text()
    draw_parameters(table, tmp_path / "figure", "Mock")
    draw_parameters(table.iloc[:0], tmp_path / "none", "Mock")
    assert (tmp_path / "figure.svg").stat().st_size > 2 * (tmp_path / "none.svg").stat().st_size
