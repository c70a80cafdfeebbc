"""After kill -9 of snakemake on one machine: recovery ends what it left, keeps what it finished, and unlocks."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from starglot.workflow import recovery

pytestmark = pytest.mark.workflow

TARGET = "results/mock/truth.parquet"


def start(project):
    """Snakemake at work in its first job; the process, and the script that it runs."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "mini.yaml", "--", TARGET]
    process = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that ended while it was looked at
            for child in psutil.Process(process.pid).children(recursive=True):
                if any("make_mock.py" in word for word in child.cmdline()):
                    return process, child
        time.sleep(0.05)
    raise AssertionError("the first job did not start")


def recover(project):
    return subprocess.run(
        [sys.executable, "-m", "starglot", "recover"], cwd=project.folder, capture_output=True, text=True
    )


def test_a_killed_run_recovers_with_one_command(fresh):
    process, script = start(fresh)
    refused = recover(fresh)
    assert refused.returncode == 1 and f"snakemake is running here (process {process.pid})" in refused.stderr
    assert process.poll() is None and script.is_running()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert fresh.snakemake(TARGET, check=False).returncode  # it stops at the lock, or at half-made files
    done = recover(fresh)
    assert done.returncode == 0, done.stderr
    assert not script.is_running()
    assert f"next: snakemake --rerun-incomplete --cores 1 --configfile mini.yaml -- {TARGET}" in done.stderr
    fresh.snakemake("--rerun-incomplete", TARGET)
    assert "nothing to recover" in recover(fresh).stderr


def test_a_run_on_another_machine_is_left_alone(fresh):
    (fresh.folder / ".snakemake/locks").mkdir(parents=True)
    (fresh.folder / ".snakemake/locks/0.input.lock").write_text("x\n")
    note = {"host": "login7", "process": 1, "options": [], "targets": [], "digest": ""}
    (fresh.folder / ".snakemake/starglot.json").write_text(json.dumps(note))
    said = recover(fresh)
    assert said.returncode == 1 and "login7" in said.stderr and "--elsewhere" in said.stderr
    assert (fresh.folder / ".snakemake/locks/0.input.lock").exists()


def finish_unseen(project):
    """Make the outputs look as a job leaves them that ended when no snakemake was there: without a record."""
    for record in (project.folder / ".snakemake/metadata").iterdir():
        record.unlink()
    (project.folder / ".snakemake/locks").mkdir(exist_ok=True)
    (project.folder / ".snakemake/locks/0.input.lock").write_text(f"{TARGET}\n")


def test_what_was_finished_unseen_is_kept_with_a_record_or_made_anew(fresh):
    settings = fresh.folder / "mini.yaml"
    settings.write_text(settings.read_text().replace("spectra: 240", "spectra: 60"))
    fresh.snakemake(TARGET)
    truth = fresh.path("mock/truth.parquet")
    inode = truth.stat().st_ino
    finish_unseen(fresh)
    assert "file(s) that were finished" in recover(fresh).stderr
    assert truth.stat().st_ino == inode
    assert "Nothing to be done" in fresh.snakemake(TARGET).stderr
    settings.write_text(settings.read_text().replace("broken: 7", "broken: 8"))
    assert "rule make_mock" in fresh.snakemake("-n", TARGET).stdout  # the record knows what it was made of
    finish_unseen(fresh)  # and the settings are others than those of the last run
    assert "made anew" in recover(fresh).stderr
    assert not truth.exists()


def test_only_this_folders_jobs_are_cancelled(tmp_path, monkeypatch):
    listed = f"11|starglot_x|{tmp_path}\n12|starglot_x|/elsewhere\n13|other|{tmp_path}\n"
    queue = tmp_path / "squeue"
    queue.write_text(f"#!/bin/sh\ncat <<E\n{listed}E\n")
    queue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert recovery._slurm_jobs(tmp_path) == ["11"]
