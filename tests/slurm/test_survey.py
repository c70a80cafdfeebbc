"""On a real one-machine Slurm cluster: a survey in more shards than a submission takes, cleaned and answered.

The tests take one small project from stage to stage, in the order in which they stand here.
"""

from functools import partial

import pyarrow.dataset as ds
import pytest
from astropy.table import Table
from cluster_project import Project, kill, slurm, wait_until

pytestmark = pytest.mark.slurm

SHARDS = 8
#: Minutes that one shard asks for.
CLEAN, APPLY = 20, 60


@pytest.fixture(scope="module")
def survey(cluster, tmp_path_factory) -> Project:
    """Many shards, their inventory taken: Snakemake then looks at the graph twice before the first job."""
    made = Project(tmp_path_factory.mktemp("slurm") / "survey", "shards.yaml")
    made.run("results/catalog/shards/lamost.txt", profile=())
    return made


def submissions(project, rule):
    """(state, minutes) that each submission of a group of jobs ended with and was allowed."""
    return [(row["State"].split()[0], int(row["TimelimitRaw"])) for row in project.accounted(rule)]


def steps(project, rule):
    """Names of the steps, of all submissions of a group of jobs."""
    ids = ",".join(row["JobIDRaw"] for row in project.accounted(rule))
    lines = slurm("sacct", "-P", "-n", "--format", "JobID", "-j", ids).split()
    return {line.partition(".")[2] for line in lines if "." in line}


def test_a_submission_holds_no_more_shards_than_the_profile_says(survey):
    survey.run("clean", options=("--group-components", "clean=4"))
    # The time of two at once, --cores 2.
    assert submissions(survey, "clean_shard") == [("COMPLETED", 2 * CLEAN)] * (SHARDS // 4)
    assert {row["ReqCPUS"] for row in survey.accounted("clean_shard")} == {"1"}  # they run one after the other
    assert steps(survey, "clean_shard") == {"batch"}  # no Snakemake of their own, which would be a step
    assert len(list(survey.path("spectra/lamost/paper").glob("*.sha256"))) == SHARDS


def test_a_catalogue_that_is_killed_twice_has_each_spectrum_once(survey):
    survey.run("results/models/atmosphere/ridge/mini/model.json", profile=())
    shards = survey.path("catalogue/atmosphere/ridge/mini/lamost")
    target = "results/catalogue/atmosphere/ridge/mini/lamost.fits"
    apply = ("--group-components", "apply=4")

    def answered(wanted: int) -> bool:
        return len(list(shards.glob("*.sha256"))) >= wanted

    for wanted in (1, 5):
        process = survey.start(target, options=apply)
        wait_until("answered shards", partial(answered, wanted), survey, process)
        kill(process)
        assert "cancelling" in survey.recover()
        done = {path: path.stat().st_ino for path in shards.glob("*.sha256")}
    survey.run(target, options=apply)
    assert {path: path.stat().st_ino for path in done} == done
    assert max(minutes for _, minutes in submissions(survey, "apply_shard")) == 2 * APPLY
    rows = Table.read(f"{shards}.fits")
    selected = ds.dataset(survey.path("catalog/selected/lamost")).to_table(["obsid"])
    assert list(rows["obsid"]) == sorted(selected["obsid"].to_pylist())
