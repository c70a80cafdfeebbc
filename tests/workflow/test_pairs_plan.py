"""config/pairs.yaml, planned: what it builds, and that the demo knows nothing of it."""

import re

import pytest

pytestmark = pytest.mark.workflow

PAIRS = ("config/demo.yaml", "config/pairs.yaml")


def planned(project, overlays, *targets):
    """Rule -> number of jobs that would run."""
    return counted(project.snakemake(*targets, "-n", overlays=overlays))


def counted(done):
    """The jobs of a plan that was printed."""
    table = (done.stdout + done.stderr).split("Job stats:")[-1]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def test_from_the_mock_of_two_surveys_to_the_tables_of_aligned_bases(fresh):
    jobs = planned(fresh, PAIRS, "pairs")
    assert jobs["make_gaia_xp"] == jobs["pair_views"] == 1
    assert jobs["train_encoder"] == jobs["train_aligned"] == jobs["embed_pairs"] == jobs["tabulate_alignment"] == 2
    assert jobs["match_survey"] == 3  # LAMOST with APOGEE, and with Gaia XP both ways
    assert not {"train_baseline", "train_llm", "draw_sample"} & set(jobs)


def test_pairs_alone_train_nothing(fresh):
    jobs = planned(fresh, PAIRS, "results/pairs/pairs/lamost_xp.parquet")
    assert jobs["pair_views"] == 1 and not {"train_encoder", "train_aligned"} & set(jobs)


def test_the_demo_knows_nothing_of_pairs(fresh):
    jobs = planned(fresh, ("config/demo.yaml",))
    assert "make_mock" in jobs and not {"make_gaia_xp", "pair_views", "train_aligned", "embed_pairs"} & set(jobs)
    assert jobs["match_survey"] == 3  # with APOGEE, GALAH and Gaia-ESO, as ever


def test_the_full_size_recipe_is_planned_from_catalogues_of_the_user(fresh):
    for name in ("lamost/dr11_v1.1_LRS_stellar.fits.gz", "lamost/dr11_v1.1_LRS_mstellar.fits.gz", "gaia/sources.csv"):
        (fresh.folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh.folder / "data" / name).touch()
    (fresh.folder / "several.yaml").write_text("bases: {lrs: {gpus: 4}}\n")
    done = fresh.snakemake("pairs", "-n", "-p", overlays=("config/specclip.yaml", "several.yaml"))
    jobs = counted(done)
    assert jobs["train_encoder"] == jobs["train_aligned"] == jobs["tabulate_alignment"] == 2
    assert "make_mock" not in jobs and jobs["match_survey"] == 2
    commands = re.findall(r"launch_training\.sh (\d) (\d) \S+/train_encoder\.py ", done.stdout + done.stderr)
    assert sorted(commands) == [("1", "1"), ("1", "4")]  # one process a GPU
