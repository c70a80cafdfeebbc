"""Where a run stands and what it is called with: strange folders, other folders, plates of any name, plans that write
nothing."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow

#: What a shell, Snakemake's formatting or a search for files would trip over.
STRANGE = "a 'b' {c} \"é\" $HOME;*#~"


def release(folder: Path, planids: list[str]) -> dict[str, object]:
    """Write a small release of own spectra, 12 stars a plate; returns the overlay that reads it."""
    rng, rows, wavelength = np.random.default_rng(0), [], np.arange(3780.0, 7430.0, 4.0)
    for plate, planid in enumerate(planids):
        place = folder / "spectra/20230225" / planid
        if planid not in ("..", ""):
            place.mkdir(parents=True)
        for k in range(12):
            flux = 1e4 / wavelength + 0.02 * rng.standard_normal(wavelength.size)
            values = {"FLUX": flux, "IVAR": np.full(flux.size, 2500.0), "WAVELENGTH": wavelength, "ORMASK": 0 * flux}
            columns = [fits.Column(name, f"{flux.size}E", array=[value]) for name, value in values.items()]
            units = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")])
            if place.is_dir():
                units.writeto(place / f"spec-60000-{planid}_sp01-{k + 1:03d}.fits")
            star = {"obsid": 1000 + 100 * plate + k, "uid": f"s{plate}-{k}", "ra": 10 + 0.01 * k, "dec": 20 + plate}
            where = {"obsdate": "2023-02-25", "lmjd": 60000, "planid": planid, "spid": 1, "fiberid": k + 1}
            labels = {"subclass": f"{'AFGKM'[k % 5]}2", "snrr": 50, "snri": 50, "teff": 4000 + 50 * k, "logg": 4.2}
            rows.append({**star, **where, **labels, "feh": -0.1})
    with open(folder / "stars.csv", "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    lamost = {"release": "own {x}", "stellar": str(folder / "stars.csv"), "mstellar": "", "class_counts": None}
    lamost |= {"spectra": str(folder / "spectra"), "coverage": [3780.0, 7428.0]}
    return {
        "mock": None,
        "surveys": {"lamost": lamost, "apogee": None, "galah": None, "gaia_eso": None},
        "recipes": {"paper": {"wavelength": {"start": 3800.0, "stop": 7400.0}}},
        "tasks": {"atmosphere": {"sample": {"sizes": {"mini": 5000}, "shortage": "take_all"}}},
        "run": {"tasks": ["atmosphere"], "sizes": ["mini"], "models": ["class-mean"], "validation": []},
    }


def snakemake(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this project's workflow in another folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    mini = str(ROOT / "tests/workflow/mini.yaml")
    return subprocess.run(
        [*command, "--configfile", mini, "over.yaml", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def lay_over(folder: Path, values: dict[str, object]) -> None:
    (folder / "over.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, Snakemake's own left aside."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
        if ".snakemake" not in path.parts
    }


def test_plates_of_any_name_in_a_folder_of_any_name(tmp_path):
    """Called from a folder of its own, with the program elsewhere; results and state have strange names, too."""
    folder = tmp_path / STRANGE
    (folder / "data 'q'").mkdir(parents=True)
    plates = ["-x;touch PWNED;#", "~", "* $HOME", "O'NEIL é {b}", "x.rejected", "x", "X", "a\nb"]
    over = release(folder / "data 'q'", plates)
    over["surveys"]["lamost"] |= {"stellar": "data 'q'/stars.csv", "spectra": "data 'q'/spectra"}
    lay_over(folder, {**over, "results": "my 'results' $HOME;é", "state": "state {x}"})
    done = snakemake(folder, "--", "predict")
    assert not done.returncode, done.stderr[-3000:]
    results = folder / "my 'results' $HOME;é"
    names = (results / "catalog/shards/lamost.txt").read_text().split()
    assert len(names) == len(plates)
    assert {path.name for path in (results / "spectra/lamost/paper").glob("*.rejected.parquet")} == {
        f"{name}.rejected.parquet" for name in names
    }
    index = (results / "spectra/lamost/paper/index.tsv").read_text().splitlines()
    assert len(index) == 1 + len(plates)
    assert (results / "predictions/atmosphere/class-mean/mini/test.parquet").is_file()
    assert set(os.listdir(folder)) == {".snakemake", "data 'q'", "my 'results' $HOME;é", "over.yaml", "state {x}"}
    assert "Nothing to be done" in snakemake(folder, "--", "predict").stderr


def test_a_plate_that_leads_out_of_the_root_stops_the_run_by_name(tmp_path):
    (tmp_path / "data").mkdir()
    lay_over(tmp_path, release(tmp_path / "data", ["P1", ".."]))
    done = snakemake(tmp_path, "--", "clean")
    said = done.stdout + done.stderr
    assert done.returncode and "'..'" in said and "to do:" in said and "Traceback" not in said


PLANS = (["-n"], ["-n", "--forceall"], ["--summary"], ["--rulegraph"], ["--list-rules"], ["--list-params-changes"])


def test_a_plan_writes_nothing_and_reads_no_catalogue_that_it_need_not(tmp_path):
    (tmp_path / "data").mkdir()
    lay_over(tmp_path, release(tmp_path / "data", ["P1"]))
    with open(tmp_path / "data/stars.csv", "r+b") as catalogue:
        catalogue.truncate(2**40)  # a terabyte of nothing: reading it would not end
    before = tree_but_catalogue(tmp_path)
    for plan in PLANS:
        done = snakemake(tmp_path, *plan, "--", "clean")
        assert not done.returncode, done.stderr[-2000:]
        assert tree_but_catalogue(tmp_path) == before, plan


def tree_but_catalogue(folder: Path) -> dict[str, str]:
    """As :func:`tree`, of all but the catalogue."""
    catalogue = folder / "data/stars.csv"
    size, kept = catalogue.stat(), folder.parent / "stars.csv"
    catalogue.rename(kept)
    try:
        return tree(folder) | {"stars.csv": str(size.st_size)}
    finally:
        kept.rename(catalogue)


def test_a_plan_of_a_finished_project_writes_nothing(mini):
    before = tree(mini.folder)
    for plan in (["-n", "--forceall"], ["--summary"], ["--lint"]):
        mini.snakemake(*plan, check=plan != ["--lint"])  # that one has remarks (Makefile)
        assert tree(mini.folder) == before, plan
    explained = [sys.executable, "-m", "starglot", "explain", "--configfile", "mini.yaml"]
    subprocess.run(explained, cwd=mini.folder, check=True, capture_output=True)
    assert tree(mini.folder) == before


def test_digests_of_catalogues_are_known_once_jobs_have_run(tmp_path):
    (tmp_path / "data").mkdir()
    lay_over(tmp_path, release(tmp_path / "data", ["P1"]))
    assert not snakemake(tmp_path, "--", "results/catalog/lamost.parquet").returncode
    assert str(tmp_path / "data/stars.csv") in (tmp_path / "results/state/fingerprints.json").read_text()
    os.utime(tmp_path / "data/stars.csv")
    before = tree(tmp_path)
    assert "Nothing to be done" in snakemake(tmp_path, "-n", "--", "results/catalog/lamost.parquet").stdout
    assert tree(tmp_path) == before


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "data").mkdir()
    over = release(tmp_path / "data", ["P1"])
    (tmp_path / "file").touch()
    lay_over(tmp_path, {**over, "results": "file/results"})
    said = snakemake(tmp_path, "--", "clean").stderr
    assert f"where:   {tmp_path / 'file'}, " in said and "to do:" in said and "Traceback" not in said
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a read-only file system")
    try:
        lay_over(tmp_path, {**over, "results": "disk/results"})
        said = snakemake(tmp_path, "--", "clean").stderr
        assert f"where:   {disk}, " in said and "disk/results" in said and "Traceback" not in said
        command = ["--directory", str(disk), "--", "clean"]
        said = snakemake(tmp_path, *command).stderr
        assert f"where:   {disk}, " in said and ".snakemake" in said and "Traceback" not in said
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_project_that_is_read_only_runs_elsewhere(tmp_path):
    """The program on a read-only disk, the results in a folder of the user's."""
    program, work = tmp_path / "program", tmp_path / "work"
    program.mkdir()
    (work / "data").mkdir(parents=True)
    lay_over(work, release(work / "data", ["P1"]))
    mounts = (["mount", "--bind", str(ROOT), str(program)], ["mount", "-o", "remount,ro,bind", str(program)])
    if any(subprocess.run(mount, capture_output=True).returncode for mount in mounts):
        subprocess.run(["umount", "-l", str(program)], capture_output=True)
        pytest.skip("needs the right to mount a folder read-only")
    try:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(program / "Snakefile"), "--cores", "2"]
        command += ["--configfile", str(ROOT / "tests/workflow/mini.yaml"), "over.yaml", "--directory", str(work)]
        environment = {**os.environ, "PYTHONPATH": str(program / "src")}
        done = subprocess.run([*command, "--", "clean"], cwd=work, env=environment, capture_output=True, text=True)
        assert not done.returncode, done.stderr[-3000:]
        assert (work / "results/spectra/lamost/paper/60000-P1.parquet").is_file()
    finally:
        subprocess.run(["umount", "-l", str(program)], check=False)
