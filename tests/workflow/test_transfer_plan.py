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
