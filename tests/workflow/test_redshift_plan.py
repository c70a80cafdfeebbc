"""config/redshift.yaml and config/fors2.yaml, planned: what they build, and what of the demo they leave alone."""

import re

import pytest

pytestmark = pytest.mark.workflow

REDSHIFT = ("config/demo.yaml", "config/redshift.yaml")


def planned(project, overlays, *targets):
    """Rule -> number of jobs that would run."""
    done = project.snakemake(*targets, "-n", overlays=overlays)
    table = (done.stdout + done.stderr).split("Job stats:")[-1]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def test_from_mock_galaxies_to_the_table_of_redshifts_and_no_stars(fresh):
    jobs = planned(fresh, REDSHIFT)
    assert jobs["make_galaxies"] == jobs["tabulate_redshifts"] == jobs["build_report"] == 1
    assert jobs["train_patches"] == 1 and jobs["train_baseline"] == 7 and jobs["make_random_base"] == 1
    assert not {"make_mock", "match_survey", "train_llm", "build_base"} & set(jobs)


def test_real_galaxies_need_no_mock(fresh):
    folder = fresh.folder / "data" / "fors2"
    folder.mkdir(parents=True)
    (folder / "specObj-dr16.fits").write_bytes(b"SIMPLE  =                    T")
    jobs = planned(fresh, (*REDSHIFT, "config/fors2.yaml"), "tables")
    assert jobs["read_survey"] == jobs["tabulate_redshifts"] == 1 and "make_galaxies" not in jobs


def test_the_demo_knows_nothing_of_galaxies(fresh):
    jobs = planned(fresh, ("config/demo.yaml",))
    assert "make_mock" in jobs and not {"make_galaxies", "tabulate_redshifts"} & set(jobs)
