"""A kind of model from outside, as docs/extending.md adds one: two modules, and a line in each of two registries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doors import extend
from starglot.workflow.provenance.code import code_definitions, hash_of
from starglot.workflow.provenance.modules import Package

#: What its user writes, and what comes of it: trained and asked, by the functions that the scripts call.
USE = """
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import yaml
from baseline_spectra import TASK, linear_survey

from starglot.config import queries, variants
from starglot.config.kinds.registry import family_of
from starglot.config.load import load_config, merge
from starglot.models.baselines.predict import predict
from starglot.models.baselines.reading import read_network
from starglot.training.baselines import train_baseline
from starglot.training.networks import fit_network

root, folder = map(Path, sys.argv[1:])
block = yaml.safe_load("models: {mine: {kind: linear, bin: 2, labels: standard, inputs: standard, gpus: 0,"
                       " training: {epochs: 40, learning_rate: 0.01, stop_after: null}}}")
config = load_config(merge(yaml.safe_load((root / "config/config.yaml").read_text()), block))
assert family_of(config.models["mine"]).needs == "spectra" and queries.curved(config, ["mine"]) == ["mine"]
assert variants.model_of(config, "mine.s3.x2").training.epochs == 80
assert variants.model_of(config, "mine.s3").seed == 3
settings, survey = variants.model_at(config, "mine", "1e5"), linear_survey(folder)
train_baseline(fit_network, settings, TASK, survey.sample, survey.labels, survey.shard_path, folder / "mine",
               folder / "state", {}, "code")


def read(rows):
    return read_network(settings, TASK, folder / "mine", rows, survey.shard_path)


table = predict(read, TASK, survey.of("test"), survey.labels, []).to_pandas()
known = table[(table.label == "teff") & table.truth.notna()]
print(1 - np.var(known.value - known.truth) / np.var(known.truth))
"""


@pytest.fixture(scope="module")
def extended(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's folder, with the kind `linear`."""
    copy = tmp_path_factory.mktemp("extended")
    shutil.copytree(project / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    extend(copy, "inear")
    return copy / "src"


def test_a_new_kind_is_configured_trained_and_asked(project: Path, extended: Path, tmp_path: Path) -> None:
    folders = (extended, project / "tests/unit", project / "tests")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, "-c", USE, str(project), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.9


def test_a_new_kind_runs_nothing_again(project: Path, extended: Path) -> None:
    """The code of a job of another kind is what it was; one of the new kind has its own."""
    there = Package(extended, "starglot")
    here = Package(project / "src", "starglot")
    for step in ("train_network", "predict_network", "train_plain", "build_report"):
        script = project / f"workflow/scripts/{step}.py"
        picked = {"KINDS": ("cnn",), "ARCHITECTURES": ("cnn",)}
        assert code_definitions(script, picked, there) == code_definitions(script, picked, here), step
        if "network" in step:
            own = code_definitions(script, {"KINDS": ("linear",), "ARCHITECTURES": ("linear",)}, there)
            assert any(part.startswith("starglot.models.baselines.linear:") for part in own)
            assert hash_of(own) != hash_of(code_definitions(script, picked, there))
