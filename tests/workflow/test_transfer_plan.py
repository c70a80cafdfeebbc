"""config/transfer.yaml and config/miles_transfer.yaml, planned: what the target `transfer` builds."""

import re

import pytest

pytestmark = pytest.mark.workflow


def planned(project, *overlays):
    """Rule -> number of jobs that would run for the target `transfer`."""
    done = project.snakemake("transfer", "-n", overlays=("config/demo.yaml", *overlays))
    table = (done.stdout + done.stderr).split("Job stats:")[-1]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def test_the_mocks_two_surveys_give_every_table_and_figure(fresh):
    jobs = planned(fresh, "config/transfer.yaml")
    made = {"tabulate_transfer", "tabulate_transfer_sizes", "compare_planes", "draw_landscapes", "draw_saliency"}
    made |= {"tabulate_transfer_parameters", "draw_strategies", "fit_pipeline"}
    assert {jobs.get(name) for name in {*made, "tabulate_scaling", "make_desi"}} == {1}
    # Five strategies, three seeds, four sizes; ridge; the network that they start from, with three seeds.
    assert jobs["train_baseline"] == 5 * 3 * 4 + 1 + 3


def test_real_stars_by_two_instruments_have_no_alpha_and_no_plane(fresh):
    folder = fresh.folder / "data" / "miles_transfer"
    (folder / "desi").mkdir(parents=True)
    for name in ("dr11_v1.1_LRS_stellar.fits.gz", "dr11_v1.1_LRS_mstellar.fits.gz", "desi/mwsall-pix-miles.fits"):
        (folder / name).write_bytes(b"SIMPLE  =                    T")
    jobs = planned(fresh, "config/miles_transfer.yaml")
    made = {"tabulate_transfer", "tabulate_transfer_sizes", "draw_landscapes", "draw_saliency", "tabulate_scaling"}
    assert {jobs.get(name) for name in made} == {1} and "compare_planes" not in jobs and "make_mock" not in jobs


def test_the_full_size_recipe_is_planned_from_catalogues_of_the_user(fresh):
    catalogs = ("lamost/dr11_v1.1_LRS_stellar.fits.gz", "lamost/dr11_v1.1_LRS_mstellar.fits.gz", "gaia/sources.csv")
    for name in (*catalogs, "apogee/allStar-dr17-synspec_rev1.fits", "desi/mwsall-pix-iron.fits"):
        (fresh.folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh.folder / "data" / name).touch()
    done = fresh.snakemake("transfer", "-n", overlays=("config/specclip.yaml", "config/transfer_desi.yaml"))
    table = (done.stdout + done.stderr).split("Job stats:")[-1]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}
    # 14 models at five sizes with five seeds; four networks that they start from, each with five seeds.
    assert jobs["train_baseline"] == 14 * 5 * 5 + 4 * 5 and jobs["fit_pipeline"] == 1
    assert jobs["train_encoder"] == jobs["train_aligned"] == 2 and "make_mock" not in jobs
