"""What a run says: one line a job with our logger, Snakemake's errors with advice, and a quick end when stopped."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.workflow


def command(*targets, logger=True):
    ours = ["--logger", "starglot"] if logger else []
    return [sys.executable, "-m", "snakemake", "--cores", "2", *ours, "--configfile", "mini.yaml", "--", *targets]


def test_a_job_is_a_line_and_its_noise_is_in_its_log(fresh):
    done = subprocess.run(
        command("clean"), cwd=fresh.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, done.stderr
    first, *jobs, last = done.stderr.splitlines()
    assert re.fullmatch(r"\d+ jobs", first) and re.fullmatch(r"(\d+) of \1 jobs done, in .*", last)
    counts = [re.match(r"\[ *(\d+)/(\d+)(?:, ~\d+ (?:s|min))?\] \S", line) for line in jobs]
    assert all(counts), done.stderr
    assert [int(count[1]) for count in counts] == list(range(1, len(jobs) + 1))
    assert int(counts[-1][2]) == len(jobs)
    assert not re.search(r"[\r\x1b]", done.stderr) and max(map(len, done.stderr.splitlines())) <= 100
    shards = {path.name.split(".")[0] for path in fresh.path("spectra/lamost/paper").glob("*.parquet")}
    assert {line.split("clean shard ")[1] for line in jobs if "clean shard " in line} == {
        f"lamost, paper, {shard}" for shard in shards
    }
    assert "mock spectra" in fresh.path("logs/make_mock.log").read_text()
    again = subprocess.run(command("clean"), cwd=fresh.folder, capture_output=True, text=True)
    assert again.returncode == 0 and again.stderr.startswith("Nothing to be done")


def test_a_failed_job_is_quoted_and_its_log_named(fresh):
    """The job's own message, without Snakemake's account of its shell command."""
    # The mock is made; then its catalogue is spoilt, older than what would make it anew.
    subprocess.run(command("results/mock/truth.parquet"), cwd=fresh.folder, capture_output=True, check=True)
    catalog = fresh.path("mock/lamost/mock_LRS_stellar.fits.gz")
    when = catalog.stat().st_mtime_ns
    catalog.write_bytes(b"no table")
    os.utime(catalog, ns=(when, when))
    target = "results/catalog/lamost.parquet"
    done = subprocess.run(
        command(target), cwd=fresh.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1
    assert (
        "FAILED: read survey lamost\n" in done.stderr
        and "    log: results/logs/read_survey/lamost.log\n" in done.stderr
    )
    assert "error: " in done.stderr and catalog.name in done.stderr
    for noise in ("Traceback", "CalledProcessError", "set -euo pipefail", "jobid"):
        assert noise not in done.stderr


@pytest.mark.parametrize("logger", [True, False])
def test_errors_of_snakemake_come_with_advice(fresh, logger):
    said = subprocess.run(command("sampels", logger=logger), cwd=fresh.folder, capture_output=True, text=True)
    assert said.returncode == 1 and said.stderr.rstrip().endswith("Did you mean samples?")
    path = "results/models/atmosphere/llm-mini/mimi/manifest.json"
    said = subprocess.run(command(path, logger=logger), cwd=fresh.folder, capture_output=True, text=True)
    assert said.stderr.rstrip().endswith(f"Did you mean {path.replace('mimi', 'mini')}?")
    locks = fresh.folder / ".snakemake/locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.output.lock").write_text("results/mock/truth.parquet\n")
    said = subprocess.run(command("samples", logger=logger), cwd=fresh.folder, capture_output=True, text=True)
    assert said.returncode == 1 and said.stderr.rstrip().endswith("make recover")


def start(project, *targets):
    """A run at work in its first job, in a process group of its own, as a terminal would start it.

    At work it has shown its progress: what it imports before that may swallow a signal, as units of astropy do.
    """
    log = project.folder / "results/logs/make_mock.log"
    with (project.folder / "said").open("w") as said:
        process = subprocess.Popen(
            command(*targets), cwd=project.folder, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that ended while it was looked at
            jobs = [
                child
                for child in psutil.Process(process.pid).children(recursive=True)
                if child.name().startswith("python") and child.cpu_times().user > 0.5
            ]
            if jobs and log.is_file() and "mock spectra" in log.read_text():
                return process, jobs
        time.sleep(0.05)
    raise AssertionError("the first job did not start")


def at_work(job) -> bool:
    """Whether a process has not ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return job.is_running() and job.status() != psutil.STATUS_ZOMBIE
    return False


def give_minutes_of_work(fresh) -> None:
    """A large mock, on as many plates as it needs: with fewer the job ends at once, with an error."""
    settings = fresh.folder / "mini.yaml"
    before = settings.read_text()
    settings.write_text(before.replace("spectra: 240, plates: 3", "spectra: 60000, plates: 16"))
    assert settings.read_text() != before


def test_ctrl_c_ends_a_run_and_its_jobs(fresh):
    give_minutes_of_work(fresh)
    process, jobs = start(fresh, "results/mock/truth.parquet")
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=200)  # takes a second where nothing else runs
    assert process.returncode != 0
    assert not any(map(at_work, jobs))
    said = (fresh.folder / "said").read_text()
    assert "Traceback" not in said and "FAILED" not in said and "Stopping" in said
    assert len(said.splitlines()) <= 5, said


def test_recovery_stops_a_living_run_when_asked(fresh):
    give_minutes_of_work(fresh)
    process, jobs = start(fresh, "results/mock/truth.parquet")
    recover = [sys.executable, "-m", "starglot", "recover"]
    refused = subprocess.run(recover, cwd=fresh.folder, capture_output=True, text=True)
    assert refused.returncode == 1 and "make recover STOP=1" in refused.stderr and process.poll() is None
    stopped = subprocess.Popen([*recover, "--stop"], cwd=fresh.folder, stderr=subprocess.PIPE, text=True)
    process.wait(timeout=200)
    assert not any(map(at_work, jobs))
    assert "next: snakemake" in stopped.communicate(timeout=200)[1] and stopped.returncode == 0
    assert not list((fresh.folder / ".snakemake/locks").iterdir())
