"""A plate that is asked for again after its files were taken away: cleaned once, where nothing has changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from plate_files import RECIPE, selection, write

from starglot.surveys.index import COLUMNS
from starglot.tables import write_parquet

pytestmark = pytest.mark.slow

SHARD = "58000-P"


class Plate:
    """A plate of three spectra, and the scripts that make its files."""

    def __init__(self, folder: Path, project: Path):
        self.folder, self.scripts = folder, project / "workflow" / "scripts"
        self.spectra = folder / "spectra"
        self.max_gap = RECIPE.max_gap
        self.code = "one"
        for seed in range(3):
            write(folder / "root/20170904/P" / f"good-{seed}.fits.gz", "good", seed)
        write_parquet(selection(["good", "good", "good", "missing"]), folder / "selected.parquet")

    def clean(self) -> str:
        """Run the rule's script, as Snakemake does after it has removed the outputs; its log."""
        for path in self.spectra.glob("*"):
            if path.is_file():
                path.unlink()
        recipe = RECIPE.model_copy(update={"max_gap": self.max_gap}).model_dump(mode="json")
        given = {
            "settings": json.dumps({"recipe": recipe}),
            "survey": "lamost",
            "selected": self.folder / "selected.parquet",
            "root": self.folder / "root",
            "code": self.code,
            "spectra": self.spectra / f"{SHARD}.parquet",
            "rejected": self.spectra / f"{SHARD}.rejected.parquet",
            "digests": self.spectra / f"{SHARD}.sha256",
        }
        return self._run("clean_shard", given)

    def index(self) -> str:
        """Run the script of the rule that follows the last plate; its log."""
        (self.folder / "shards.txt").write_text(f"{SHARD}\n")
        given = {"settings": "{}", "shards": self.folder / "shards.txt", "out": self.spectra / "index.tsv"}
        return self._run("index_spectra", given)

    def contents(self) -> dict[str, bytes]:
        """What stands under the names of the outputs."""
        return {path.name: path.read_bytes() for path in sorted(self.spectra.glob(f"{SHARD}.*"))}

    def held(self) -> list[Path]:
        """Everything in the folder of spectra that is no output."""
        return [path for path in self.spectra.rglob("*") if path.is_file() and path.parent != self.spectra]

    def _run(self, script: str, given: dict[str, object]) -> str:
        words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
        command = [sys.executable, str(self.scripts / f"{script}.py"), *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr


@pytest.fixture
def plate(tmp_path: Path, project: Path) -> Plate:
    return Plate(tmp_path, project)


def test_what_was_finished_is_handed_back_without_a_look_at_the_spectra(plate: Plate) -> None:
    assert "3 of 4 spectra cleaned" in plate.clean()
    first = plate.contents()
    assert len(first) == 3
    shutil.rmtree(plate.folder / "root")  # were it cleaned again, it would fail
    os.utime(plate.folder / "selected.parquet")
    assert "handing back" in plate.clean()
    assert plate.contents() == first
    made_from = (plate.folder / "selected.parquet").stat().st_mtime_ns
    assert all(path.stat().st_mtime_ns >= made_from for path in plate.spectra.glob(f"{SHARD}.*"))


def test_it_takes_no_room_and_goes_when_all_plates_are_done(plate: Plate) -> None:
    plate.clean()
    assert {path.stat().st_nlink for path in plate.spectra.glob(f"{SHARD}.*")} == {2}
    plate.index()
    assert not plate.held()
    assert (plate.spectra / "index.tsv").read_text().split()[: len(COLUMNS)] == list(COLUMNS)
    assert "3 of 4 spectra cleaned" in plate.clean()


@pytest.mark.parametrize("change", ["settings", "code", "rows"])
def test_another_setting_code_or_row_is_cleaned_anew(plate: Plate, change: str) -> None:
    plate.clean()
    if change == "settings":
        plate.max_gap = RECIPE.max_gap + 1
    elif change == "code":
        plate.code = "two"
    else:
        rows = pq.read_table(plate.folder / "selected.parquet")
        write_parquet(rows.slice(1), plate.folder / "selected.parquet")
    said = plate.clean()
    assert "handing back" not in said and "spectra cleaned" in said


def test_a_file_that_was_damaged_meanwhile_is_made_again(plate: Plate) -> None:
    plate.clean()
    first = plate.contents()
    damaged = next(path for path in plate.held() if path.name == f"{SHARD}.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    said = plate.clean()
    assert f"{SHARD}.parquet" in said and "doing it again" in said and "3 of 4 spectra cleaned" in said
    assert plate.contents() == first


def test_a_job_killed_in_the_middle_leaves_nothing_that_counts(plate: Plate) -> None:
    plate.clean()
    first = plate.contents()
    record = next(path for path in plate.held() if path.suffix == ".json")
    record.unlink()  # written last, it was not reached
    assert "3 of 4 spectra cleaned" in plate.clean()
    assert plate.contents() == first
