"""The example of docs/transfer.md on the mini: planned, made, answered from, and made again only where it must."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml

import starglot
from starglot.config.load import merge
from starglot.tables import read_json

pytestmark = pytest.mark.workflow

PAGE = Path(__file__).parents[2] / "docs/transfer.md"
MADE = ("zero", "head", "lora")


def example(**models: Any) -> dict[str, Any]:
    """The page's example, with shorter trainings, and ``models`` over its own."""
    said: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[0])
    for model in said["models"].values():
        model["training"]["epochs"] = 2
    return merge(said, {"models": models})


def manifest(model: str, task: str = "second", size: str = "few") -> str:
    return f"models/{task}/{model}/{size}/manifest.json"


@pytest.fixture(scope="module")
def project(mini, tmp_path_factory):
    """A copy of the mini: its catalogues are selected from for other tasks here."""
    project = type(mini)(tmp_path_factory.mktemp("carried") / "project")
    mini.copy_made(project.folder)
    return project


@pytest.fixture(scope="module")
def carried(project):
    """What lists jobs of the example with other models, and what makes some of it."""

    def listed(*targets: str, run: bool = False, **models: Any) -> set[tuple[str, str]]:
        over = project.folder / "over.yaml"
        over.write_text(yaml.safe_dump(example(**models)))
        flags = [] if run else ["-n"]
        paths = [f"results/{target}" for target in targets]
        done = project.snakemake(*flags, *paths, overlays=("mini.yaml", str(over)))
        jobs = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)*)", done.stdout + done.stderr, re.M)
        return {(rule, " ".join(re.findall(r"(?:task|model)=([^,\n]+)", body))) for rule, body in jobs}

    before = listed(*(manifest(name) for name in (*MADE, "whole", "anew")))
    listed(
        *(f"predictions/second/{name}/few/test.parquet" for name in MADE),
        "models/second/head/few/model.json",
        run=True,
    )
    return listed, before


def test_the_start_is_made_for_those_that_need_it(carried, project):
    _, before = carried
    trained = {name for rule, name in before if rule == "train_baseline"}
    assert trained == {"first trained", *(f"second {name}" for name in (*MADE, "whole", "anew"))}
    start = read_json(project.path(manifest("trained", "first", "every")))
    weights = {"baseline.safetensors": start["files"]["baseline.safetensors"]}  # not its curve
    for name, strategy in zip(MADE, ("zero_shot", "residual", "lora"), strict=True):
        made = read_json(project.path(manifest(name)))
        assert made["continues"] == weights and made["model"]["transfer"]["strategy"] == strategy
    assert start["model"]["transfer"] is None


def test_zero_shot_says_what_the_start_says_with_uncertainties_of_the_new_spectra(carried, project):
    from starglot.config.kinds.baselines import Mlp
    from starglot.config.tasks import Task
    from starglot.models.baselines.predict import predict
    from starglot.models.baselines.reading import read_network
    from starglot.surveys.index import cleaned_spectra

    sample = pq.read_table(project.path("samples/second/few.parquet"))
    test = sample.filter(np.array(sample["split"].to_pylist()) == "test")
    labels = pq.read_table(project.path("labels/second.parquet"))
    start = project.path(manifest("trained", "first", "every"))
    about = read_json(start)
    spectra = cleaned_spectra(labels, project.path("spectra/lamost/median/index.tsv"))
    settings, task = Mlp.model_validate(about["model"]), Task.model_validate(about["task"])
    theirs = predict(
        lambda rows: read_network(settings, task, start.parent, rows, spectra.shard_path), task, test, labels, []
    ).to_pandas()
    own = pq.read_table(project.path("predictions/second/zero/few/test.parquet")).to_pandas()
    both = own.merge(theirs, on=["obsid", "label"], suffixes=("", "_start"))
    assert len(both) == len(own) == 2 * len(test) > 0
    assert (both["value"] == both["value_start"]).all() and (both["sigma_raw"] != both["sigma_raw_start"]).any()
    seen = set(
        pq.read_table(project.path("samples/first/every.parquet")).to_pandas().query("split == 'train'")["star_id"]
    )
    assert not set(own["star_id"]) & seen and not own["seen"].any()


def test_a_model_that_was_carried_over_answers_alone(carried, project, tmp_path):
    """From the survey's own files, far from the model that it started from."""
    told = pq.read_table(project.path("predictions/second/head/few/test.parquet")).to_pandas()
    files = ds.dataset(project.path("catalog/selected/lamost")).to_table(["obsid", "file"]).to_pandas()
    wanted = told.merge(files, on="obsid")
    spectra = project.path("mock/lamost/spectra")
    model = starglot.load(shutil.copytree(project.path("models/second/head/few"), tmp_path / "head"))
    paths = [spectra / name for name in wanted["file"].unique()]
    answers = model.predict(paths)
    for label in ("feh", "logg"):
        expected = wanted.loc[wanted["label"] == label, ["value", "sigma"]].to_numpy()
        given = answers.loc[answers["label"] == label, ["value", "sigma"]].to_numpy()
        np.testing.assert_allclose(given, expected, rtol=1e-5)


def test_another_strategy_trains_that_model_alone(carried):
    listed, _ = carried
    targets = [manifest(name) for name in MADE]
    changed = listed(*targets, head={"transfer": {"strategy": "lora", "rank": 3}})
    assert changed == {("train_baseline", "second head")}
    assert listed(*targets, lora={"transfer": {"hidden": [5]}}) == set()  # no key of its strategy
    another = listed(*targets, trained={"seed": 1})
    assert another == {("train_baseline", "first trained"), *(("train_baseline", f"second {name}") for name in MADE)}


def test_a_start_that_is_made_again_to_the_same_bytes_moves_nothing(carried, project):
    listed, _ = carried
    start = project.path(manifest("trained", "first", "every"))
    before = start.read_bytes()
    shutil.rmtree(start.parent)
    listed(manifest("trained", "first", "every"), run=True)
    assert start.read_bytes() == before
    assert listed(*(manifest(name) for name in MADE)) == set()
