"""On a real one-machine Slurm cluster: a training outlives what ends it, and the run reaches its tables.

The tests take one small project from stage to stage, in the order in which they stand here.
"""

import signal
import subprocess
import time

import numpy as np
import pytest
from cluster_project import kill, slurm, wait_until

from starglot.report.cluster import cluster_use
from starglot.tables import read_json

pytestmark = pytest.mark.slurm

MODEL = "models/atmosphere/llm-mini/mini/manifest.json"


def test_training_outlives_kills_and_its_time_limit(project):
    """Killed with snakemake, ended by its limit, killed with its job: each time it goes on from a checkpoint."""
    log = project.path("logs/train_llm/atmosphere/llm-mini/mini.log")  # of the present turn: each begins it anew
    state = project.path("state/train")

    def says(words):
        return log.exists() and words in log.read_text()

    def goes_on():
        return says("continuing from") and says("examples/s") and not says("stopped by a signal")

    project.run("results/bases/tiny/manifest.json", profile=())  # on this machine: the queue is for what follows
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
    project.send("train_llm.py", signal.SIGKILL)  # as a node that breaks down would do it
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


def pending(project):
    """Jobs of the project that wait for their start time."""
    listed = slurm("squeue", "--me", "--noheader", "--states", "PENDING", "--format", "%A").split()
    return sorted(set(listed) & set(project.jobs()))


def test_two_nodes_train_one_model_as_one_process_does(project):
    """ZeRO-3, NF4 and gradient accumulation, a process on each of two nodes: one Slurm job."""
    targets = [f"results/models/atmosphere/{name}/mini/manifest.json" for name in ("llm-one", "llm-two")]
    project.run(*targets, options=("--set-resources", "train_llm:slurm_partition=gpu"))  # which has two nodes
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
