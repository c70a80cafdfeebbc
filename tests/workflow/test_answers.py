"""Models that answer by themselves: the workflow's numbers from the survey's files, and flags for what is no star."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest

import starglot
from starglot.commands.export import export
from starglot.errors import StarglotError
from starglot.labels import LABELS
from starglot.mock.not_stars import NOT_STARS, not_stars
from starglot.models.folder import MODEL

pytestmark = pytest.mark.workflow

MODELS = ("llm-mini", "ridge", "class-mean", "cnn", "ensemble")


@pytest.fixture(scope="module")
def ready(mini):
    """The mini, with the models that are built on request."""
    mini.snakemake(
        *(f"results/models/atmosphere/{name}/mini/{MODEL}" for name in ("cnn", "ensemble")),
        *(f"results/predictions/atmosphere/{name}/mini/test.parquet" for name in ("cnn", "ensemble")),
    )
    return mini


def predicted(ready, task: str, model: str, size: str) -> tuple[pd.DataFrame, list[Path], list[str]]:
    """The workflow's predictions of the test set by obsid and label, the spectra's files, and their classes."""
    table = pd.read_parquet(ready.path(f"predictions/{task}/{model}/{size}/test.parquet"))
    files = ds.dataset(ready.path("catalog/selected/lamost")).to_table(["obsid", "file"]).to_pandas()
    where = files.set_index("obsid")["file"]
    obsids = sorted(table["obsid"].unique())
    classes = table.drop_duplicates("obsid").set_index("obsid")["class"]
    paths = [ready.path("mock/lamost/spectra") / where[obsid] for obsid in obsids]
    return table, paths, [classes[obsid] for obsid in obsids]


@pytest.mark.parametrize(
    ("task", "size", "name"),
    [
        *(("atmosphere", "mini", name) for name in MODELS),
        ("abundances", "all", "llm-mini"),
        ("abundances", "all", "ridge"),
    ],
)
def test_answers_from_files_are_those_of_the_workflow(ready, task, size, name):
    table, paths, classes = predicted(ready, task, name, size)
    model = starglot.load(ready.path(f"models/{task}/{name}/{size}"))
    order = {label: place for place, label in enumerate(model.labels)}
    place = table["label"].map(order)
    told = table.assign(place=place).sort_values(["obsid", "place"])
    for answers, rows, exact in (
        (model.predict(paths, classes=classes), told, name == "llm-mini"),
        (
            pd.concat([model.predict(paths[at], classes=[classes[at]]) for at in range(3)]),
            told[: 3 * len(order)],
            False,
        ),
    ):
        assert answers["label"].tolist() == rows["label"].tolist()
        assert answers["status"].tolist() == rows["status"].tolist()
        assert answers["class"].tolist() == rows["class_pred"].fillna("").tolist()
        chances = [frame["class_probability"].to_numpy(float) for frame in (answers, rows)]
        np.testing.assert_allclose(*chances, rtol=1e-5, atol=1e-5)  # NaN where no class is told
        for column in ("value", "sigma"):
            ours, theirs = answers[column].to_numpy(float), rows[column].to_numpy(float)
            if exact:
                np.testing.assert_array_equal(ours, theirs)
            # How many spectra are computed together decides the order of sums: far below the last digit of a label.
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
            digits = [LABELS[label].decimals for label in rows["label"]]
            printed = [[f"{v:.{d}f}" for v, d in zip(values, digits, strict=True)] for values in (ours, theirs)]
            assert printed[0] == printed[1]


def test_wrong_inputs_are_flagged_and_good_ones_are_not(ready):
    _, paths, _ = predicted(ready, "atmosphere", "ridge", "mini")
    model = starglot.load(ready.path("models/atmosphere/ridge/mini"))
    good = model.predict(paths, wide=True)
    assert good["flags"].str.contains("outside_training|low_snr|part_missing").mean() < 0.15
    for kind in NOT_STARS:
        wrong = model.predict(not_stars(kind, 20, seed=3), wide=True)
        assert wrong["flags"].str.contains("outside_training").mean() > 0.9, kind


def test_a_model_is_moved_with_what_it_stands_on(ready, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no results are
    where = ready.path("models/atmosphere/llm-mini/mini")
    _, paths, _ = predicted(ready, "atmosphere", "llm-mini", "mini")
    bare = tmp_path / "bare"
    shutil.copytree(where, bare)
    with pytest.raises(StarglotError) as raised:
        starglot.load(bare)
    assert "starglot export" in str(raised.value.todo)
    export(where, tmp_path / "whole")
    moved = starglot.load(tmp_path / "whole").predict(paths[:2])
    assert moved.drop(columns="file").equals(starglot.load(where).predict(paths[:2]).drop(columns="file"))
    weights = next((tmp_path / "whole/base").glob("*.safetensors"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StarglotError) as raised:
        starglot.load(tmp_path / "whole")
    assert "another base" in raised.value.what


def test_an_ensemble_is_moved_with_its_members(ready, tmp_path):
    where = ready.path("models/atmosphere/ensemble/mini")
    _, paths, _ = predicted(ready, "atmosphere", "ensemble", "mini")
    export(where, tmp_path / "whole")
    moved = starglot.load(tmp_path / "whole").predict(paths[:2])
    assert moved.equals(starglot.load(where).predict(paths[:2]))


def test_the_description_says_what_an_answer_needs(ready):
    for task, size in (("atmosphere", "mini"), ("abundances", "all")):
        about = json.loads(ready.path(f"models/{task}/llm-mini/{size}/{MODEL}").read_text())
        assert {"recipe", "question", "encoding", "calibration", "base", "files", "format"} <= set(about)
        assert about["base"]["digest"] and not Path(about["base"]["name"]).is_absolute()
