"""Networks opened from their folders: the loss that their predictions have, spectra with a velocity alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from baseline_spectra import BIN, GRID, TASK, Survey

from starglot.config.kinds.baselines import Mlp, NetworkTraining
from starglot.config.transfer import NetworkTransfer
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer import explained
from starglot.evaluation.transfer.explained import (
    LANDSCAPE_COLUMNS,
    SALIENCY_COLUMNS,
    landscapes,
    open_carried,
    sensitivities,
    table_of,
)
from starglot.models.baselines.predict import predict
from starglot.models.baselines.reading import read_network
from starglot.plots.transfer.landscapes import draw_landscapes
from starglot.plots.transfer.saliency import draw_saliency
from starglot.training.baselines import train_baseline
from starglot.training.networks import fit_network

WAVE = np.linspace(4650.0, 5000.0, GRID)


def mlp(transfer: NetworkTransfer | None = None) -> Mlp:
    plan = NetworkTraining(epochs=4, batch=64, learning_rate=3e-3, stop_after=None)
    scaled = {"inputs": "standard", "labels": "standard"}
    return Mlp(kind="mlp", bin=BIN, hidden=[10, 6], training=plan, gpus=0, transfer=transfer, **scaled)


@pytest.fixture(scope="module")
def opened(survey: Survey, tmp_path_factory: pytest.TempPathFactory) -> explained.Opened:
    """A network that has gone on from another by LoRA."""
    folder = tmp_path_factory.mktemp("models")
    start, own = folder / "first" / "start" / "all", folder / "second" / "lora" / "all"
    given = (TASK, survey.sample, survey.labels, survey.shard_path)
    train_baseline(fit_network, mlp(), *given, start, folder / "state", {}, "code", None)
    lora = mlp(NetworkTransfer(strategy="lora", rank=2, alpha=4, layers=["of_label.*"]))
    train_baseline(fit_network, lora, *given, own, folder / "state", {}, "code", start)
    settings = mlp().model_dump(mode="json")
    return open_carried(own, settings, "lora", TASK, survey.sample, survey.labels, survey.shard_path, WAVE)


def test_the_loss_at_the_centre_is_that_of_the_predictions(
    opened, survey: Survey, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(explained, "DIRECTIONS", 2)
    rows, losses = landscapes(opened, "feh")
    told = predict(
        lambda chosen: read_network(mlp(), TASK, opened.folder, chosen, survey.shard_path),
        TASK,
        survey.of("test"),
        survey.labels,
        [],
    ).to_pandas()
    feh = told[(told["label"] == "feh") & told["truth"].notna()]
    loss = ((feh["value"] - feh["truth"]) ** 2).mean()
    of_all = [row for row in rows if row["stars"] == "all"]
    assert [row["loss"] for row in of_all] == pytest.approx([loss] * 2, rel=1e-4)
    assert {row["n"] for row in of_all} == {len(feh)} and len(feh) < len(opened.rows)
    assert all(row["least_loss"] <= row["loss"] for row in of_all)
    # No star of the survey is below [Fe/H] -1 by much: a subset without any has no loss, and is said.
    assert sum(row["n"] for row in rows if row["stars"] != "all") == 2 * len(feh)
    write_table(table_of(rows, LANDSCAPE_COLUMNS), tmp_path / "landscapes", "Landscapes")
    draw_landscapes({"lora": losses}, {row["stars"]: row["n"] for row in rows}, tmp_path / "figure", "Landscapes")
    assert (tmp_path / "figure.svg").is_file() and "least loss" in (tmp_path / "landscapes.md").read_text()


def test_only_spectra_with_a_velocity_are_brought_to_rest(opened, survey: Survey, tmp_path: Path) -> None:
    velocity = np.where(np.arange(len(survey.obsid)) % 4 == 0, np.nan, 30.0)
    catalog = pa.table({"obsid": survey.obsid, "rv": pa.array(velocity, mask=np.isnan(velocity))})
    rows, found = sensitivities(opened, "teff", catalog, survey.sample, replicates=50)
    known = dict(zip(survey.obsid.tolist(), np.isfinite(velocity).tolist(), strict=True))
    expected = sum(known[obsid] for obsid in opened.rows.obsid.tolist())
    assert 0 < expected < len(opened.rows) and found.saliency.shape == (expected, GRID // BIN)
    of_all = [row for row in rows if row["stars"] == "all"]
    assert {row["n"] for row in of_all} == {expected}
    assert {(row["species"], row["line"]) for row in of_all} == {
        ("Mg I", "4704.31"),
        ("H I", "4862.69"),
        ("Fe I", "4958.98"),
    }
    as_observed, whole = sensitivities(opened, "teff", catalog.select(["obsid"]), survey.sample, replicates=50)
    assert whole.saliency.shape[0] == len(opened.rows) and as_observed[0]["n"] == len(opened.rows)
    write_table(table_of(rows, SALIENCY_COLUMNS), tmp_path / "saliency", "Saliency")
    draw_saliency({"lora": found}, "teff", tmp_path / "figure", "Saliency")
    assert (tmp_path / "figure.png").is_file()
