"""On a real one-machine Slurm cluster: what goes wrong on clusters, and that everything finishes all the same.

The tests take one small project from stage to stage, in the order in which they stand here.
"""

import contextlib
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest
from cluster_project import kill, slurm, wait_until

from starglot.report.cluster import cluster_use
from starglot.tables import read_json

pytestmark = pytest.mark.slurm

SURVEY = "galah"  # what the small project has no need of
MODEL = "models/atmosphere/llm-mini/mini/manifest.json"


def inodes(paths):
    """Which file each name is: a file that was written anew is another one."""
    return {path: path.stat().st_ino for path in paths}


def spectra(project):
    return [path for path in project.path("spectra").glob("*.parquet") if "rejected" not in path.name]


def test_killed_in_the_middle_of_cleaning_it_recovers_and_nothing_finished_runs_again(project):
    process = project.start("clean")
    wait_until("two shards", lambda: len(list(project.path("spectra").glob("*.sha256"))) >= 2, project, process)
    kill(process)
    assert project.jobs(), "the job outlives snakemake: otherwise this tests nothing"
    said = project.recover()
    assert "cancelling 1 Slurm job" in said and "next: snakemake --profile slurm" in said
    assert not project.jobs()
    done = inodes(spectra(project))
    first_end = project.accounted("clean")[-1]["End"]
    project.run("clean")
    assert len(spectra(project)) == len(project.path("catalog/shards.txt").read_text().split()) == 6
    assert inodes(done) == done
    again = project.accounted("clean")
    assert len(again) == 2 and again[-1]["Start"] >= first_end  # never two writers at once
    assert not list(project.path("spectra").glob("*.partial"))


def test_jobs_that_lack_memory_or_time_come_back_larger_and_longer(project):
    asked = (
        "collect_labels:mem_mb=100 * 20 ** (attempt - 1)",
        "collect_labels:runtime=10 * 1.7 ** (attempt - 1)",
        "read_survey:runtime=attempt",
    )
    targets = ("results/labels/atmosphere.parquet", f"results/catalog/{SURVEY}.parquet")
    process = project.start(*targets, options=("--set-resources", *asked, "--groups", "a=b"))
    hang = ("a job that can be made to hang", lambda: send(project, "read_survey.py", signal.SIGSTOP))
    wait_until(*hang, project, process)
    assert process.wait(timeout=400) == 0, project.said()[-6000:]
    first, second = project.accounted("collect_labels")
    assert first["State"] in ("FAILED", "OUT_OF_MEMORY") and second["State"] == "COMPLETED"
    assert (first["ReqMem"], second["ReqMem"]) == ("100M", "2000M")
    assert (first["TimelimitRaw"], second["TimelimitRaw"]) == ("10", "17")
    first, second = project.accounted("read_survey")
    assert (first["State"], second["State"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimelimitRaw"], second["TimelimitRaw"]) == ("1", "2")


def test_ctrl_c_leaves_no_jobs_and_no_lock(project):
    process = project.start("samples", "qa")
    wait_until("a job", lambda: project.jobs(), project, process)
    time.sleep(2)
    kill(process, signal.SIGINT)
    wait_until("an empty queue", lambda: not project.jobs(), project, seconds=60)
    assert not list((project.folder / ".snakemake").glob("locks/*"))
    project.run("samples", "qa")


def test_training_outlives_kills_and_its_time_limit(project):
    """Killed with snakemake, ended by its limit, killed with its job: each time it goes on from a checkpoint."""
    log = project.path("logs/train_llm/atmosphere/llm-mini/mini.log")  # of the present turn: each begins it anew
    state = project.path("state/train")

    def says(words):
        return log.exists() and words in log.read_text()

    def goes_on():
        return says("continuing from") and says("examples/s") and not says("stopped by a signal")

    project.run("results/bases/tiny/manifest.json")
    limit = ("train_llm:runtime=2", "train_llm:slurm_extra='--requeue --open-mode=append --signal=URG@30'")
    options = ("--set-resources", "train_llm:slurm_partition=gpu", "train_llm:mem_mb=4000", *limit)

    process = project.start(f"results/{MODEL}", options=options)
    wait_until("a checkpoint", lambda: list(state.glob("*/checkpoints/*/complete.json")), project, process)
    kill(process)
    project.recover()
    assert not project.jobs()

    process = project.start(f"results/{MODEL}", options=options)
    wait_until("its going on", goes_on, project, process)
    wait_until("its place in the queue", lambda: pending(project), project, process)
    job = project.jobs()[0]
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm lets a job rest for two minutes
    wait_until("its going on after the limit", goes_on, project, process)
    assert "TimeLimit=00:02:00" in slurm("scontrol", "show", "job", job)
    send(project, "train_llm.py", signal.SIGKILL)  # as a node that breaks down would do it
    wait_until("another attempt", lambda: set(project.jobs()) - {job}, project, process)
    wait_until("its going on in that", goes_on, project, process)
    while process.poll() is None:  # it may reach its limit once more
        for again in pending(project):
            subprocess.run(["scontrol", "update", f"JobId={again}", "StartTime=now"], capture_output=True)
        time.sleep(1)
    assert process.returncode == 0, project.said()[-6000:]
    told = project.accounted("train_llm")
    assert {row["TimelimitRaw"] for row in told} == {"2"}
    assert "REQUEUED" in {row["State"] for row in told}
    manifest = read_json(project.path(MODEL))
    steps = np.loadtxt(project.path(MODEL).with_name("loss.csv"), delimiter=",", skiprows=1)[:, 0]
    # Not every step is in the curve.
    assert 0 <= manifest["counts"]["steps"] - steps[-1] < 20 and (np.diff(steps) > 0).all()


def send(project, script, number):
    """Send a signal to a running script of the project and to the shell around it; how many processes got it."""
    sent = 0
    for running in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if running.cwd() == str(project.folder) and script in " ".join(running.cmdline()):
                running.send_signal(number)
                sent += 1
    return sent


def pending(project):
    """Jobs of the project that wait for their start time."""
    listed = slurm("squeue", "--me", "--noheader", "--states", "PENDING", "--format", "%A").split()
    return sorted(set(listed) & set(project.jobs()))


def test_a_failing_job_shows_its_log(project):
    (project.folder / "data").mkdir()  # a folder of the user's, so that no model of the hub is meant
    (project.folder / "wrong.yaml").write_text("models: {llm-mini: {base: data/no-such-model}}\n")
    overlays, project.overlays = project.overlays, (*project.overlays, "wrong.yaml")
    try:
        said = project.run(
            "results/models/atmosphere/llm-mini/mini/manifest.json", options=("--retries", "0"), check=False
        )
    finally:
        project.overlays = overlays
    assert "there is no base model" in said and "data/no-such-model" in said


def test_two_nodes_train_one_model_as_one_process_does(project):
    """ZeRO-3, NF4 and gradient accumulation, a process on each of two nodes: one Slurm job."""
    targets = [f"results/models/atmosphere/{name}/mini/manifest.json" for name in ("llm-one", "llm-two")]
    project.run(*targets)
    curves = [
        np.loadtxt((project.folder / target).with_name("loss.csv"), delimiter=",", skiprows=1)[:, 1]
        for target in targets
    ]
    assert len(curves[0]) > 5
    assert np.allclose(curves[0], curves[1], rtol=5e-4)
    row = project.accounted("train_llm_wildcards_atmosphere_llm-two_mini")[-1]
    assert row["State"] == "COMPLETED"
    assert slurm("sacct", "-X", "-n", "-P", "-j", row["JobIDRaw"], "-o", "NNodes,NodeList").strip() == "2|node[1-2]"


def test_the_run_reaches_its_tables_and_its_report_says_what_it_cost(project):
    project.run()
    assert project.path("tables/residuals_atmosphere.csv").stat().st_size > 100
    page = project.path("report.html").read_text()
    assert "What the cluster did, against what was asked" in page
    table, why = cluster_use(project.folder / ".snakemake/log")
    assert not why
    train = table.set_index("rule").loc["train_llm"]
    assert train["not completed"] >= 3 and train["time asked (h)"] >= 1 / 60
    assert 0.3 < train["most memory (GB)"] < train["memory asked (GB)"]
    assert "Nothing to be done" in project.run()
    assert not project.jobs()
