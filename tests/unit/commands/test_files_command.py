"""`starglot files`: what a selection needs of a survey, before anything is downloaded."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from refusals import refused
from starglot.commands import files
from starglot.tables import write_parquet

HERE = "20230225/MINE 01/spec-60000-MINE 01_sp01-002.fits"
ABSENT = "20230225/MINE 01/spec-60000-MINE 01_sp01-001.fits.gz"


@pytest.fixture
def selection(tmp_path: Path, project: Path) -> list[str]:
    """Two rows of one plate, of which one has its file; the configuration's files."""
    root = tmp_path / "spectra"
    (root / HERE).parent.mkdir(parents=True)
    (root / HERE).write_bytes(b"x")
    (tmp_path / "mine.yaml").write_text(
        yaml.safe_dump({"results": str(tmp_path / "results"), "surveys": {"lamost": {"spectra": str(root)}}})
    )
    return [str(project / "config/config.yaml"), str(tmp_path / "mine.yaml")]


def select(folder: Path) -> None:
    columns = {"obsid": [12, 11], "obsdate": ["2023-02-25"] * 2, "planid": ["MINE 01"] * 2, "lmjd": [60000] * 2}
    rows = pa.table(columns | {"spid": [1, 1], "fiberid": [2, 1], "shard": ["60000-MINE+2001"] * 2})
    write_parquet(rows, folder / "results/catalog/candidates/lamost.parquet")


def listed(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_the_list_names_every_file_and_whether_it_is_there(selection, tmp_path: Path, capsys) -> None:
    select(tmp_path)
    out = tmp_path / "list.csv"
    files.run([*selection, "--out", str(out)])
    assert {row["obsid"]: (row["file"], row["there"]) for row in listed(out)} == {
        "11": (ABSENT, "no"),
        "12": (HERE, "yes"),
    }
    assert "2 spectra are selected, 1 of" in capsys.readouterr().err
    files.run([*selection, "--missing", "--out", str(out)])
    assert [row["obsid"] for row in listed(out)] == ["11"]


def test_before_the_selection_it_says_how_to_make_it(selection, tmp_path: Path) -> None:
    wanted = tmp_path / "results/catalog/candidates/lamost.parquet"
    with refused(where=wanted, todo=wanted):
        files.run([*selection, "--out", str(tmp_path / "list.csv")])
    with refused("desi", where="--survey", allowed="lamost"):
        files.run([*selection, "--survey", "desi", "--out", str(tmp_path / "list.csv")])
