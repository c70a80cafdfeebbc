"""What pre-training brings: differences in R2 of models that are known, their intervals, and what is no control."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from prediction_tables import predictions

from refusals import at, refused
from starglot.config.checks.across_keys import cross_check
from starglot.config.control import control_models
from starglot.config.load import read_config
from starglot.evaluation.sweeps.control import COLUMNS, control_table
from starglot.evaluation.sweeps.points import Trained
from starglot.plots.control import draw_control

LABELS = ["teff", "feh"]


def trained(folder: Path, errors: dict[str, float], seeds: int = 2) -> list[Trained]:
    """Models with errors of a known size, at sizes that differ in nothing, of several seeds."""
    found = []
    for number, (model, error) in enumerate(errors.items()):
        for seed in range(seeds):
            for size, n in (("s", 100), ("l", 400)):
                name = model if seed == 0 else f"{model}.s{seed}"
                path = folder / f"{name}-{size}.parquet"
                pq.write_table(predictions(LABELS, stars=150, error=error, seed=100 * number + seed), path)
                found.append(Trained(name, size, str(path), {"counts": {"examples": 800}}, n))
    return found


def test_the_difference_is_that_of_r2(tmp_path: Path) -> None:
    models = trained(tmp_path, {"llm": 1.0, "drawn": 2.0, "same": 1.0})
    table = control_table(models, {"llm": ["drawn", "same"]}, LABELS, task="atmosphere")
    assert list(table.columns) == list(COLUMNS) and len(table) == 2 * 2 * 2
    assert set(table["seeds"]) == {2} and set(table["n_train"]) == {100, 400} and set(table["examples"]) == {800}
    row = table[(table["control"] == "drawn") & (table["label"] == "feh") & (table["size"] == "s")].iloc[0]
    r2 = []
    for one in models:
        if one.size == "s" and not one.model.startswith("same"):
            frame = pq.read_table(one.predictions).to_pandas().query("label == 'feh'")
            r2.append(1 - ((frame.value - frame.truth) ** 2).mean() / frame.truth.var(ddof=0))
    assert row["r2"] == pytest.approx(np.mean(r2[:2])) and row["r2_control"] == pytest.approx(np.mean(r2[2:]))
    assert row["difference"] == pytest.approx(row["r2"] - row["r2_control"]) and row["difference_lo"] > 0
    level = table[(table["control"] == "same")]
    assert ((level["difference_lo"] < 0) & (level["difference_hi"] > 0)).all()
    draw_control(table, tmp_path / "control", "t", "b")
    assert (tmp_path / "control.png").stat().st_size > 5000


def test_other_test_stars_are_refused(tmp_path: Path) -> None:
    models = trained(tmp_path, {"llm": 1.0, "drawn": 2.0}, seeds=1)
    pq.write_table(predictions(LABELS, stars=149), models[0].predictions)
    with refused():
        control_table(models, {"llm": ["drawn"]}, LABELS, task="atmosphere")


def test_a_control_differs_in_its_base_or_its_encoder_alone(project: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text(
        "bases:\n"
        "  shuffled: {kind: like, base: /b, weights: shuffled}\n"
        "  masked: {kind: masked_encoder, view: lamost/paper}\n"
        "models:\n"
        "  smol: &smol {kind: patch_llm, base: /b, encoding: patches, training: {gpus: 0}}\n"
        "  moved: {<<: *smol, base: shuffled}\n"
        "  beside: {<<: *smol, encoder: masked}\n"
        "  other: {<<: *smol, lora: {rank: 4}}\n"
        "scaling:\n"
        "  {models: [smol, moved, beside, other, ridge], seeds: [0, 1], control: {smol: [moved], beside: [smol]}}\n"
    )
    config = read_config(project / "config/config.yaml", project / "config/demo.yaml", over)
    assert not [fault for fault in cross_check(config) if fault.startswith("scaling")]
    controls = [f"{name}{seed}" for name in ("smol", "moved", "beside") for seed in ("", ".s1")]
    assert control_models(config, "atmosphere") == controls
    for control, named in (("other", "lora"), ("ridge", "ridge"), ("nobody", "nobody")):
        changed = config.scaling.model_copy(update={"control": {"smol": [control]}})
        faults = list(cross_check(config.model_copy(update={"scaling": changed})))
        assert at(faults, "scaling.control", named) or at(faults, "scaling.control.smol", named)
