"""On a real one-machine Slurm cluster: jobs that are killed, lack memory or time, are broken off, or fail.

The tests take one small project from stage to stage, in the order in which they stand here.
"""

import itertools
import signal
import time

import pytest
from cluster_project import kill, wait_until

pytestmark = pytest.mark.slurm

SURVEY = "galah"  # what the small project has no need of


def inodes(paths):
    """Which file each name is: a file that was written anew is another one."""
    return {path: path.stat().st_ino for path in paths}


def digests(project):
    """What a shard has when it is done."""
    return list(project.path("spectra/lamost/paper").glob("*.sha256"))


def test_killed_in_the_middle_of_cleaning_it_recovers_and_nothing_finished_runs_again(project):
    process = project.start("clean")
    wait_until("two shards", lambda: len(digests(project)) >= 2, project, process)
    kill(process)
    assert project.jobs(), "the job outlives snakemake: otherwise this tests nothing"
    said = project.recover()
    assert "cancelling 1 Slurm job" in said and "next: snakemake --profile slurm" in said
    assert not project.jobs()
    done = inodes(digests(project))
    assert project.accounted("clean")[-1]["State"].startswith("CANCELLED")

    process = project.start("clean")
    wait_until("one more", lambda: len(digests(project)) > len(done), project, process)
    own = inodes(set(digests(project)) - set(done))  # what the job itself has finished: Snakemake takes it away
    assert project.send("slurm-jobstep", signal.SIGKILL) and project.send("clean_shard.py", signal.SIGKILL)
    assert process.wait(timeout=400) == 0, project.said()[-6000:]
    assert len(digests(project)) == len(project.path("catalog/shards/lamost.txt").read_text().split()) == 6
    assert inodes(done) == done and inodes(own) == own
    logs = [project.path(f"logs/clean_shard/lamost/paper/{path.stem}.log").read_text() for path in own]
    assert logs and all("handing back" in log and "spectra cleaned" not in log for log in logs)
    turns = project.accounted("clean")
    assert [row["State"] for row in turns[1:]] == ["FAILED", "COMPLETED"]
    for ended, begun in itertools.pairwise(turns):  # never two writers at once
        assert ended["End"] <= begun["Start"]
    assert not list(project.path("spectra/lamost/paper").glob("*.partial"))


def test_jobs_that_lack_memory_or_time_come_back_larger_and_longer(project):
    asked = (
        "collect_labels:mem_mb=100 * 20 ** (attempt - 1)",
        "collect_labels:runtime=10 * 1.7 ** (attempt - 1)",
        "read_survey:runtime=attempt",
    )
    targets = ("results/labels/atmosphere.parquet", f"results/catalog/{SURVEY}.parquet")
    process = project.start(*targets, options=("--set-resources", *asked, "--groups", "a=b"))
    hang = ("a job that can be made to hang", lambda: project.send("read_survey.py", signal.SIGSTOP))
    wait_until(*hang, project, process)
    assert process.wait(timeout=400) == 0, project.said()[-6000:]
    first, second = project.accounted("collect_labels")
    assert first["State"] in ("FAILED", "OUT_OF_MEMORY") and second["State"] == "COMPLETED"
    assert (first["ReqMem"], second["ReqMem"]) == ("100M", "2000M")
    assert (first["TimelimitRaw"], second["TimelimitRaw"]) == ("10", "17")
    first, second = project.accounted(f"read_survey_wildcards_{SURVEY}")
    assert (first["State"], second["State"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimelimitRaw"], second["TimelimitRaw"]) == ("1", "2")


def test_ctrl_c_leaves_no_jobs_and_no_lock(project):
    process = project.start("samples", "qa")
    wait_until("a job", lambda: project.jobs(), project, process)
    time.sleep(2)
    kill(process, signal.SIGINT)
    wait_until("an empty queue", lambda: not project.jobs(), project, seconds=300)
    assert not list((project.folder / ".snakemake").glob("locks/*"))
    project.run("samples", "qa", options=("--max-threads", "2"))  # a job takes the processors that it was given


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
    assert "where:   data/no-such-model" in said and "to do:" in said
