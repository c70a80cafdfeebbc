"""Bad input gives one clear message: what, where, what was allowed, what to do; nothing computed is lost."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from astropy.table import Table

pytestmark = pytest.mark.workflow


def overlay(project, **values):
    """Write an overlay beside mini.yaml; returns the --configfile arguments."""
    (project.folder / "over.yaml").write_text(yaml.safe_dump(values))
    return ("mini.yaml", "over.yaml")


def message(done):
    """Everything that a user sees of a failed run."""
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "completed successfully, but" not in said, (
        "a failed command is known by its status"
    )
    return said


def test_a_typo_in_the_configuration(fresh):
    said = message(
        fresh.snakemake(
            "-n",
            overlays=overlay(fresh, recipes={"paper": {"normalization": "max"}}, run={"models": ["rigde"]}),
            check=False,
        )
    )
    assert "recipes.paper.normalization: " in said and "'normalisation'" in said
    assert "Traceback" not in said


def test_several_faults_are_told_at_once(fresh):
    bad = {
        "recipes": {"paper": {"wavelength": {"stop": 9500.0}}},
        "run": {"models": ["rigde"]},
        "split": {"train": 0.5},
    }
    said = message(fresh.snakemake("-n", overlays=overlay(fresh, **bad), check=False))
    for part in ("recipes.paper.wavelength: ", "run.models: ", "split: "):
        assert part in said


@pytest.fixture
def own_files(mini, fresh):
    """A project whose survey files are the mini's mock release, without the mock in its configuration."""
    os.symlink(mini.path("mock"), fresh.folder / "data")
    mock = yaml.safe_load((fresh.folder / "mini.yaml").read_text())["surveys"]
    text = yaml.safe_dump({"mock": None, "surveys": mock}).replace("results/mock", "data")
    (fresh.folder / "own.yaml").write_text(text)
    return fresh


def test_a_missing_catalogue(own_files):
    over = overlay(own_files, surveys={"lamost": {"stellar": "data/lamost/nowhere.fits.gz"}})
    said = message(own_files.snakemake("clean", overlays=(over[0], "own.yaml", over[1]), check=False))
    assert "nowhere.fits.gz" in said and "Missing input files" in said


def test_a_catalogue_without_a_needed_column(own_files):
    catalog = own_files.folder / "poor.fits"
    table = Table.read(own_files.folder / "data/lamost/mock_LRS_stellar.fits.gz")
    table.remove_column("teff")
    table.write(catalog)
    over = overlay(own_files, surveys={"lamost": {"stellar": "poor.fits"}})
    said = message(
        own_files.snakemake("results/catalog/lamost.parquet", overlays=(over[0], "own.yaml", over[1]), check=False)
    )
    assert "teff" in said and "poor.fits" in said and "Traceback" not in said


def test_a_folder_of_spectra_that_is_not_there(own_files):
    over = overlay(own_files, surveys={"lamost": {"spectra": "data/elsewhere"}})
    said = message(own_files.snakemake("inventory", overlays=(over[0], "own.yaml", over[1]), check=False))
    assert "data/elsewhere" in said and "to do:" in said and "Traceback" not in said


def test_a_base_model_that_is_not_there(mini, own_files):
    over = overlay(own_files, models={"llm-mini": {"base": "data/no-such-model"}}, run={"models": ["llm-mini"]})
    target = "results/models/atmosphere/llm-mini/small/manifest.json"
    said = message(own_files.snakemake(target, overlays=(over[0], "own.yaml", over[1]), check=False))
    assert "where:   data/no-such-model\n" in said and "to do:" in said and "Traceback" not in said
    assert not own_files.path("models/atmosphere/llm-mini/small").exists()


def test_a_full_disk_in_the_middle(own_files, tmp_path):
    """On a real small file system: the message is clear, and after making room the run goes on from there."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        over = overlay(own_files, results=str(disk / "results"))
        said = message(own_files.snakemake("clean", overlays=(over[0], "own.yaml", over[1]), check=False))
        assert f"where:   {disk}/results/" in said and "to do:" in said
        assert not [path for path in disk.rglob("*.partial")]
        done = {path: path.stat().st_mtime_ns for path in disk.rglob("catalog/*.parquet")}
        assert done
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        own_files.snakemake("clean", overlays=(over[0], "own.yaml", over[1]))
        assert {path: path.stat().st_mtime_ns for path in done} == done
        assert list(Path(disk).rglob("*.rejected.parquet"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_run_above_the_limit_of_gpu_hours_stops_before_its_first_job(fresh):
    model = {"base": "meta-llama/Llama-3.1-8B-Instruct", "encoding": "packed", "training": {"gpus": 1}}
    said = message(
        fresh.snakemake(
            overlays=overlay(fresh, models={"llm-mini": model}, limits={"gpu_hours": 0.01}),
            check=False,
        )
    )
    assert "limits: gpu_hours" in said and "0.01" in said and "llm-mini" in said and "Traceback" not in said
    assert not (fresh.folder / "results/mock").exists()
