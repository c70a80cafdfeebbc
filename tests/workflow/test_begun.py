"""Killed with its run, a training whose code was edited since stops, and goes on as a person decides."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rebuild_changes import CODE, edit_function, lay_over
from test_rebuilds import ROOT

from starglot.tables import read_json
from starglot.workflow.rebuilds.accepted import read_accepted

pytestmark = pytest.mark.workflow

TARGET = "results/bases/tiny/manifest.json"
CONFIG = ("--configfile", "mini.yaml", "over.yaml")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run Python in a project with its own code."""
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment(folder), capture_output=True, text=True
    )


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{folder}/src", "OMP_NUM_THREADS": "1"}


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return command(folder, "-m", "snakemake", "--cores", "2", "--rerun-incomplete", *words, *CONFIG, "--", TARGET)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """A project whose run was killed in the middle of the base's training, and whose code was edited then."""
    folder = tmp_path_factory.mktemp("killed") / "project"
    folder.mkdir()
    for part in CODE:
        source = ROOT / part
        shutil.copytree(source, folder / part) if source.is_dir() else shutil.copy(source, folder / part)
    shutil.copy(ROOT / "tests/workflow/mini.yaml", folder)
    lay_over(folder, mock={"spectra": 120}, bases={"tiny": {"examples": 400}})
    with open(folder / "said.txt", "w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2", *CONFIG, "--", TARGET],
            cwd=folder,
            env=environment(folder),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    until = time.monotonic() + 400
    try:
        while not list(folder.glob("results/state/bases/*/checkpoints/*/complete.json")):
            assert process.poll() is None and time.monotonic() < until, (folder / "said.txt").read_text()[-6000:]
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = command(folder, "-m", "starglot", "recover")
    assert done.returncode == 0, done.stderr
    edit_function(folder, "training/pseudo.py")
    return folder


BECAUSE = ("--because", "one statement that nobody reads")


@pytest.mark.parametrize("decision", [pytest.param(BECAUSE, marks=pytest.mark.long), ("--as-begun",)], ids=str)
def test_it_stops_and_goes_on_from_its_checkpoint_when_that_is_decided(killed, tmp_path, decision):
    folder = tmp_path / "project"
    shutil.copytree(killed, folder, symlinks=True)
    log = folder / "results/logs/build_base/tiny.log"
    stopped = snakemake(folder)
    assert stopped.returncode and "this training began with other code" in log.read_text()
    assert "starglot.training.pseudo" in log.read_text() and f"starglot accept --as-begun {TARGET}" in log.read_text()
    assert not (folder / TARGET).exists()

    decided = command(folder, "-m", "starglot", "accept", *decision, TARGET, *CONFIG)
    assert decided.returncode == 0 and f"accepted: {TARGET}" in decided.stdout, decided.stderr
    (record,) = read_accepted(folder / "results/accepted.json")
    assert record.target == TARGET
    done = snakemake(folder)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "continuing from" in log.read_text()
    assert ("going on with the definitions that it began with" in log.read_text()) == (decision == ("--as-begun",))
    manifest = read_json(folder / TARGET)
    (note,) = manifest["begun_with"]
    assert manifest["work"].endswith(note["code"]) and note["code"] == record.kept
    assert "Nothing to be done" in snakemake(folder).stderr
