"""One of each that docs/extending.md adds, in a copy of the mini: to predictions, and nothing else is made again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table

from doors import extend, overlay
from starglot import tables
from starglot.statuses import STATUSES

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
CODE = ("Snakefile", "rules", "workflow", "config", "envs", "profiles", "src")
PIXELS = np.geomspace(3900.0, 7000.0, 1500)
#: What the new names ask for: the new kind of model on both new tasks, the language model on the new label.
LINES = [f"predictions/{task}/line/every/{split}" for task in ("heat", "metals") for split in ("val", "test")]
TARGETS = [f"results/{name}.parquet" for name in (*LINES, "predictions/heat/reader/every/test", "match/tiles_lamost")]
#: What an inventory of all surveys writes anew, with the same content.
_INVENTORY = ("catalog/inventory", "catalog/shards")


class Doors:
    """A copy of the mini with results of its own names."""

    def __init__(self, folder: Path):
        self.folder = folder

    def snakemake(self, *arguments: str) -> str:
        """What snakemake says, with the mini's configuration and those files that are laid over it."""
        over = [name for name in ("mini.yaml", "doors.yaml", "run.yaml") if (self.folder / name).exists()]
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", *over, *arguments]
        env = {**os.environ, "PYTHONPATH": f"{self.folder}/src", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=env)
        said = done.stdout + done.stderr
        assert not done.returncode, said[-8000:]
        return said

    def lay_over(self, name: str, **values: object) -> None:
        """Write a file of configuration."""
        (self.folder / name).write_text(yaml.safe_dump(values))

    def path(self, *parts: str) -> Path:
        """A path under results/."""
        return self.folder.joinpath("results", *parts)

    def results(self) -> dict[str, tuple[int, int]]:
        """File -> inode and time, of all that was made; not of what runs note of themselves."""
        root, noted = self.path(), ("state", "logs", "benchmarks")
        files = {path.relative_to(root): path.stat() for path in root.rglob("*") if path.is_file()}
        return {str(path): (is_.st_ino, is_.st_mtime_ns) for path, is_ in files.items() if path.parts[0] not in noted}


@pytest.fixture(scope="module")
def doors(mini, tmp_path_factory) -> Doors:
    """The mini with its own code, every door used, and files of the new survey: not yet asked for anything."""
    folder = tmp_path_factory.mktemp("doors") / "project"
    folder.mkdir()
    for part in CODE:
        source = ROOT / part
        shutil.copytree(source, folder / part) if source.is_dir() else shutil.copy2(source, folder / part)
    mini.copy_made(folder)
    shutil.copy2(mini.folder / "mini.yaml", folder)
    settled = Doors(folder)
    settled.snakemake()  # the page shows tables that other tests have asked the mini for
    extend(folder)
    write_tiles(folder)
    return settled


def write_tiles(folder: Path) -> None:
    """Files of the survey of tiles: the mini's stars as another spectrograph would have seen them.

    Two tiles, a file each; one spectrum is no number, and a third tile has lost its file.  theta is 5040 K / Teff of
    the mock's truth; of every ninth star it is not known.
    """
    results = folder / "results"
    truth = pd.read_parquet(results / "mock/truth.parquet").set_index("obsid")
    shards = (results / "catalog/shards/lamost.txt").read_text().split()
    seen = [pq.read_table(results / f"spectra/lamost/paper/{shard}.parquet") for shard in sorted(shards)]
    obsid = np.concatenate([table["obsid"].to_numpy() for table in seen])
    flux = np.concatenate([tables.flux_matrix(table) for table in seen]) / 1000.0
    stars, wave = truth.loc[obsid], np.arange(3800.0, 8701.0)
    spectra = np.stack([np.interp(PIXELS, wave, row) for row in flux]) * 37.0
    spectra[5] = np.nan
    n = len(obsid)
    tile, row = np.where(np.arange(n) < n // 2, 1, 2), np.arange(n) % (n // 2)
    tile[-3:] = 3
    theta = np.where(np.arange(n) % 9 == 4, np.nan, 5040.0 / stars["teff"])
    catalog = Table(
        {
            "TARGET": 10 * obsid + 1,
            "GAIA_DR3": [int(name) if name else 0 for name in stars["gaia_source_id"].fillna("")],
            "RA": stars["ra"].to_numpy(),
            "DEC": stars["dec"].to_numpy(),
            "TILE": tile,
            "ROW": row,
            "THETA": theta,
            "E_THETA": np.full(n, 0.01),
        }
    )
    (folder / "data/tiles").mkdir(parents=True)
    catalog.write(folder / "data/tiles.fits")
    for number in (1, 2):
        mine = spectra[tile == number].astype(np.float32)
        images = {"FLUX": mine, "IVAR": np.ones_like(mine), "WAVE": PIXELS}
        held = [fits.ImageHDU(content, name=name) for name, content in images.items()]
        fits.HDUList([fits.PrimaryHDU(), *held]).writeto(folder / f"data/tiles/tile-{number}.fits")


def test_doors_that_are_opened_list_nothing(doors) -> None:
    """Modules, entries and definitions of the configuration, before `run:` asks for anything of them."""
    assert "Nothing to be done" in doors.snakemake("-n")
    doors.lay_over("doors.yaml", **overlay())
    listed = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", doors.snakemake("-n"), re.MULTILINE)
    assert set(listed) <= {"all", "build_report"}, "the page prints the configuration, new definitions included"


@pytest.fixture(scope="module")
def made(doors) -> tuple[Doors, str, dict[str, tuple[int, int]]]:
    """The new predictions, what snakemake said, and what files there were before."""
    doors.lay_over("doors.yaml", **overlay())
    run = {"tasks": ["atmosphere", "abundances", "heat", "metals"], "sizes": ["mini", "all", "every"]}
    doors.lay_over("run.yaml", run=run)
    before = doors.results()
    return doors, doors.snakemake("--max-jobs-per-timespan=1000/5s", "--", *TARGETS), before


def test_nothing_that_was_there_is_made_again(made) -> None:
    doors, said, before = made
    ran = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n(?:    .*\n)*", said, re.M)
    assert {"read_survey", "match_survey", "select_stars", "clean_shard", "build_base", "train_llm"} <= set(ran)
    after = doors.results()
    moved = {path for path, was in before.items() if after.get(path) != was}
    assert {path for path in moved if not path.startswith(_INVENTORY)} == set()
    assert ran.count("clean_shard") == 3 and ran.count("read_survey") == 1


def test_of_a_whole_run_only_what_shows_all_tasks_is_listed_again(made) -> None:
    doors, *_ = made
    job = r"^(?:local)?rule (\w+):\n(?:    (?!wildcards).*\n)*(?:    wildcards: (.*)\n)?"
    listed = re.findall(job, doors.snakemake("-n"), re.MULTILINE)
    assert ("train_llm", "task=heat, model=llm-mini, size=every") in listed
    old = {(rule, names) for rule, names in listed if not re.search("heat|metals|tiles", names)}
    of_all = {"all", "build_report", "audit_leakage", "count_labels", "tabulate_paper", "draw_paper"}
    own_line = {"make_own_line", "tabulate_own_line"}  # of a label's entry, and what follows: the content is the same
    carried = {"tabulate_transfer"}  # a table of the new tasks, whose models start from those of another view
    assert {rule for rule, names in old if "set=own_line" not in names} <= of_all | own_line | carried


def test_ids_of_the_new_survey_are_conserved(made) -> None:
    doors, *_ = made
    shards = doors.path("catalog/shards/tiles.txt").read_text().split()
    assert shards == ["tile-1", "tile-2", "tile-3"]
    lost = {}
    for shard in shards:
        stem = f"spectra/tiles/blue/{shard}"
        files = {"selected": f"catalog/selected/tiles/{shard}", "clean": stem, "lost": f"{stem}.rejected"}
        ids = {
            name: pq.read_table(doors.path(f"{file}.parquet"))["obsid"].to_pylist() for name, file in files.items()
        }
        assert sorted([*ids["clean"], *ids["lost"]]) == sorted(ids["selected"])
        rejected = pq.read_table(doors.path(f"{stem}.rejected.parquet")).to_pydict()
        lost[shard] = dict(zip(rejected["obsid"], rejected["reason"], strict=True))
    assert len(lost["tile-1"]) == 1 and set(lost["tile-3"].values()) == {"file_missing"} and not lost["tile-2"]
    assert doors.path("spectra/tiles/blue/tile-1.parquet").exists()
    grid = tables.read_metadata(doors.path("spectra/tiles/blue/tile-1.parquet"))["wavelength"]
    assert grid == {"start": 4000.0, "stop": 6800.0, "size": 600, "log": True}


def test_a_star_is_in_one_split_in_both_surveys(made) -> None:
    doors, *_ = made
    where: dict[str, str] = {}
    both = 0
    for name in ("atmosphere/mini", "heat/every", "metals/every"):
        sample = pq.read_table(doors.path(f"samples/{name}.parquet")).to_pydict()
        for star, split in zip(sample["star_id"], sample["split"], strict=True):
            both += star in where
            assert where.setdefault(star, split) == split
    assert both > 100, "the surveys share stars"


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_new_kind_learns_the_new_label_from_the_new_spectra(made, split) -> None:
    doors, *_ = made
    table = pq.read_table(doors.path(f"predictions/heat/line/every/{split}.parquet"))
    assert table.schema.remove_metadata() == tables.PREDICTION
    frame = table.to_pandas()
    sample = pq.read_table(doors.path("samples/heat/every.parquet")).to_pandas()
    assert sorted(frame["obsid"]) == sorted(sample.loc[sample["split"] == split, "obsid"])
    assert set(frame["label"]) == {"theta"} and set(frame["class"]) == {"theta 1", "theta 2", "theta 3"}
    truth = pd.read_parquet(doors.path("mock/truth.parquet")).set_index("obsid")
    assert frame["truth"].to_numpy() == pytest.approx(5040.0 / truth.loc[frame["obsid"] // 10, "teff"].to_numpy())
    assert 1 - (frame["value"] - frame["truth"]).var() / frame["truth"].var() > 0.9


def test_labels_of_another_survey_are_learnt_by_the_stars_that_both_know(made) -> None:
    doors, *_ = made
    frame = pq.read_table(doors.path("predictions/metals/line/every/test.parquet")).to_pandas()
    apogee = pq.read_table(doors.path("match/tiles_apogee.parquet")).to_pandas().set_index("obsid")
    assert len(frame) > 10
    known = apogee.loc[frame["obsid"], "mg_fe"].to_numpy(float)
    assert frame["truth"].to_numpy() == pytest.approx(known, nan_ok=True)


def test_two_surveys_with_spectra_know_one_star_by_one_name(made) -> None:
    doors, *_ = made
    rows = pq.read_table(doors.path("match/tiles_lamost.parquet")).to_pandas()
    by_gaia = rows[rows["method"] == "gaia"]
    assert len(by_gaia) > 100 and (by_gaia["star_id"] == by_gaia["other_star_id"]).all()
    theta = pq.read_table(doors.path("catalog/tiles.parquet")).to_pandas().set_index("obsid")["theta"]
    known = by_gaia[by_gaia["teff"].notna() & by_gaia["obsid"].isin(theta.index[theta.notna()])]
    assert np.median(np.abs(5040.0 / known["teff"] - theta[known["obsid"]].to_numpy())) < 0.02


def test_the_language_model_answers_the_new_question_in_the_new_encoding(made) -> None:
    doors, *_ = made
    frame = pq.read_table(doors.path("predictions/heat/reader/every/test.parquet")).to_pandas()
    sample = pq.read_table(doors.path("samples/heat/every.parquet")).to_pandas()
    assert sorted(frame["obsid"]) == sorted(sample.loc[sample["split"] == "test", "obsid"])
    assert set(frame["status"]) <= set(STATUSES) and frame["truth"].notna().all()
    first = pd.read_json(doors.path("qa/heat/spaced/every/test-0000.jsonl.gz"), lines=True)["question"].iloc[0]
    assert "Give in this order: theta." in first
    flux = re.search(r"<flux>(.*)</flux>", first)[1].split(", ")
    assert len(flux) == 600 // 20 + 10 and all(re.fullmatch("[0-9] [0-9] [0-9]", value) for value in flux)
    assert tables.read_json(doors.path("bases/mine/manifest.json"))["kind"] == "qwen"
    assert tables.read_json(doors.path("bases/mine/config.json"))["model_type"] == "qwen2"
    assert tables.read_json(doors.path("models/heat/reader/every/manifest.json"))["versions"]


def test_a_configuration_without_lamost_is_planned(made) -> None:
    doors, *_ = made
    surveys = dict.fromkeys(("lamost", "apogee", "galah", "gaia_eso"))
    run = {"tasks": ["heat"], "sizes": ["every"], "models": ["line"], "validation": []}
    alone = {"results": "elsewhere", "mock": None, "surveys": surveys, "run": run}
    doors.lay_over("run.yaml", **alone, scaling={"tasks": []}, tables={"baseline": None})
    said = doors.snakemake("-n", "--", "inventory")
    assert set(re.findall(r"survey=(\w+)", said)) == {"tiles"}
