"""Ablations: which trainings there are, what their settings are, and the table against its definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from test_redshift_table import predictions

from refusals import refused
from starglot.config import trials
from starglot.config.load import load_config, merge
from starglot.config.variants import model_at
from starglot.evaluation.sweeps.ablation import NOTES, Training, ablation_table
from starglot.evaluation.tables_io import write_table
from starglot.plots.ablation import draw_ablation


@pytest.fixture
def raw(project: Path) -> dict:
    found: dict = {}
    for name in ("config", "demo", "redshift"):
        found = merge(found, yaml.safe_load((project / f"config/{name}.yaml").read_text()))
    return found


def with_ablation(raw: dict, **changes) -> dict:
    return {**raw, "ablation": {"redshift": {**raw["ablation"]["redshift"], **changes}}}


def test_one_setting_differs_at_a_time(raw: dict) -> None:
    vary = {"training.learning_rate": ["1e-4", 3.0e-3], "lora.rank": [4]}
    config = load_config(with_ablation(raw, vary=vary, sizes=["galaxies", "750"], seeds=[0, 5]))
    found = trials.trials(config, "redshift")
    assert [(each.varied, each.size) for each in found] == [
        (None, "750"),
        ("training.learning_rate", "750"),  # 3e-3 is the model's own
        ("lora.rank", "750"),
        ("size", "galaxies"),
    ]
    own = config.models["z-patches"].model_dump()
    for each in found[1:3]:
        changed = config.models[each.model].model_dump()
        section, key = each.varied.split(".")
        assert changed[section][key] == each.values[each.varied] != own[section][key]
        changed[section][key] = own[section][key]
        assert changed == own
    seeded = trials.seeded(config, "redshift")
    assert [each.model for each in seeded[:4]] == [
        "z-patches",
        "z-patches.s5",
        "z-patches-learning_rate-0.0001",
        "z-patches-learning_rate-0.0001.s5",
    ]


def test_a_size_with_settings_of_its_own_varies_them_too(raw: dict) -> None:
    raw["models"]["z-patches"]["by_size"] = {"750": {"epochs": 20}}
    config = load_config(with_ablation(raw, vary={"training.epochs": [2]}))
    base, varied = trials.trials(config, "redshift")[:2]
    assert (base.values["training.epochs"], varied.values["training.epochs"]) == (20, 2)
    assert model_at(config, varied.model, "750").training.epochs == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "z-patch"}, "z-patches"),
        ({"size": "751"}, "ablation.redshift.sizes"),
        ({"vary": {"lora.rank": [0]}}, "z-patches-rank-0"),
        ({"vary": {"training.learning": [1]}}, "learning_rate"),
        ({"vary": {"lora.rank": []}}, "lora.rank"),
        ({"vary": {}, "sizes": []}, "ablation.redshift"),
    ],
)
def test_what_cannot_be_varied_is_a_fault_of_the_configuration(raw: dict, changes: dict, said: str) -> None:
    with refused(said):
        load_config(with_ablation(raw, **changes))


def test_an_ablation_of_a_task_that_is_not_built_is_a_fault(raw: dict) -> None:
    with refused("atmosphere"):
        load_config({**raw, "ablation": {"atmosphere": raw["ablation"]["redshift"]}})


def test_the_table_is_what_its_columns_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 0.5, 200)
    trainings, errors = [], {}
    for rank, scale in ((4, 0.02), (8, 0.001)):
        for seed in (0, 1):
            folder = tmp_path / f"{rank}-{seed}"
            folder.mkdir()
            error = scale * (1 + 0.2 * seed) * rng.standard_normal(200)
            errors[rank, seed] = np.abs(error).mean()
            path = predictions(folder, truth, truth + error, [None] * 200).popitem()[1]
            counts = {"counts": {"train": 100, "trainable_parameters": 1000 * rank}}
            trainings.append(
                Training("s", None if rank == 4 else "lora.rank", {"lora.rank": rank}, str(path), counts)
            )
    table = ablation_table(trainings, ["redshift"], task="redshift")
    assert table["varied"].tolist() == ["nothing", "rank"] and table["rank"].tolist() == ["4", "8"]
    assert table["n"].tolist() == [200, 200] and table["seeds"].tolist() == [2, 2]
    assert table["parameters"].tolist() == [4000, 8000]
    for row, rank in zip(table.to_dict("records"), (4, 8), strict=True):
        each = [errors[rank, 0], errors[rank, 1]]
        assert row["mae"] == pytest.approx(np.mean(each)) and row["seed_scatter"] == pytest.approx(
            np.std(each, ddof=1)
        )
        assert row["mae_lo"] < row["mae"] < row["mae_hi"] < row["constant_mae"]
        assert row["constant_mae"] == pytest.approx(np.abs(truth - np.median(truth)).mean())
    assert table["catastrophic"][0] > 0.8 > table["catastrophic"][1]
    write_table(table, tmp_path / "ablation", "An ablation.", NOTES)
    assert pd.read_csv(tmp_path / "ablation.csv")["mae"].tolist() == table["mae"].tolist()
    draw_ablation(trainings, table, tmp_path / "figure", "An ablation")
    assert (tmp_path / "figure.png").stat().st_size > 5000
