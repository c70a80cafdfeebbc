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
    assert jobs["list_held_out"] == jobs["collect_external_labels"] == jobs["draw_external"] == 1
    assert jobs["predict_baseline"] == 3 * 7  # validation, test, held_out


def test_an_ablation_trains_each_setting_once_a_seed(fresh):
    jobs = planned(fresh, REDSHIFT, "ablation")
    # two further rates, a rank, epochs, the model itself, a further size; two seeds
    assert jobs["train_patches"] == jobs["predict_patches"] == 2 * (2 + 1 + 1 + 1 + 1)
    assert jobs["tabulate_ablation"] == 1 and "train_baseline" not in jobs


def test_text_stands_beside_patch_tokens(fresh):
    jobs = planned(fresh, (*REDSHIFT, "config/redshift-text.yaml"))
    assert jobs["build_base"] == jobs["train_llm"] == jobs["write_qa"] == 2 and jobs["train_patches"] == 1


def test_the_papers_own_model_and_its_ablation_are_planned(fresh):
    folder = fresh.folder / "data" / "sdss"
    folder.mkdir(parents=True)
    (folder / "specObj-dr16.fits").write_bytes(b"SIMPLE  =                    T")
    (folder / "casjobs.csv").write_text("specobjid,type,dered_i\n")
    jobs = planned(fresh, (*REDSHIFT, "config/redshift-llama.yaml"), "tables", "ablation")
    assert jobs["fetch_base"] == 1 and jobs["train_llm"] == 2 + 3 * (2 + 2 + 2 + 1) - 1 and jobs["train_patches"] == 1
    assert not {"build_base", "make_random_base", "make_galaxies"} & set(jobs)


def test_the_demo_knows_nothing_of_galaxies(fresh):
    jobs = planned(fresh, ("config/demo.yaml",))
    assert "make_mock" in jobs and not {"make_galaxies", "tabulate_redshifts"} & set(jobs)
