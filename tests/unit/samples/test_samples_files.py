"""The inventory of files, and the labels of what was cleaned: every id is accounted for."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refusals import refused
from starglot.config.tasks import Task
from starglot.samples import inventory as taken
from starglot.samples.labels import collect_labels
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.lamost_spectra import find_files, spectrum_file
from starglot.surveys.lamost_spectrum import read_spectrum
from starglot.surveys.shard_names import shard_name
from starglot.tables import SELECTED, flux_column, write_parquet
from tasks import task_of


def inventory(table: pa.Table, root: Path) -> dict[str, pa.Table]:
    return taken.inventory(table, root, find_files)


def candidates(planids: list[str], lmjds: list[int], dates: list[str]) -> pa.Table:
    rows = len(planids)
    columns: dict[str, pa.Array] = {
        "obsid": pa.array(np.arange(rows)[::-1] + 100),
        "obsdate": pa.array(dates),
        "lmjd": pa.array(lmjds, pa.int32()),
        "planid": pa.array(planids),
        "spid": pa.array(np.full(rows, 2), pa.int16()),
        "fiberid": pa.array(np.arange(rows) + 1, pa.int16()),
        "shard": pa.array([shard_name(m, p) for m, p in zip(lmjds, planids, strict=True)]),
    }
    return pa.table({**columns, "star_id": pa.array(["x"] * rows)})


def put(root: Path, table: pa.Table, row: int, suffix: str, content: bytes = b"data") -> Path:
    values = table.slice(row, 1).to_pylist()[0]
    path = root / spectrum_file(*(values[name] for name in ("obsdate", "planid", "lmjd", "spid", "fiberid")))
    path = path.with_name(path.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_candidate_is_in_its_shard_present_or_missing(tmp_path: Path) -> None:
    table = candidates(["P1", "P1", "P1", "P2", "P3"], [56000, 56000, 56000, 56000, 56001], ["2012-03-14"] * 5)
    zipped = put(tmp_path, table, 0, ".gz")
    plain = put(tmp_path, table, 1, "", b"longer")
    put(tmp_path, table, 1, ".gz")
    put(tmp_path, table, 3, ".gz")
    (zipped.parent / "notes.txt").write_text("not a spectrum")
    os.symlink(tmp_path / "nowhere", put(tmp_path, table, 2, ".gz").with_suffix(".tmp"))
    dangling = put(tmp_path, table, 2, ".gz")
    dangling.unlink()
    dangling.symlink_to(tmp_path / "nowhere")
    shards = inventory(table, tmp_path)
    assert sorted(shards) == ["56000-P1", "56000-P2", "56001-P3"]
    assert all(rows.schema == SELECTED for rows in shards.values())
    assert sorted(o for rows in shards.values() for o in rows["obsid"].to_pylist()) == [100, 101, 102, 103, 104]
    third, second, first = shards["56000-P1"].to_pylist()
    assert [third["obsid"], second["obsid"], first["obsid"]] == [102, 103, 104]
    assert first["file"] == "20120314/P1/spec-56000-P1_sp02-001.fits.gz" and first["size"] == 4
    assert first["mtime"] == zipped.stat().st_mtime_ns
    assert second["file"] == str(plain.relative_to(tmp_path)) and second["size"] == 6, "plain before gzipped"
    assert third["file"].endswith("-003.fits.gz") and third["size"] is None and third["mtime"] is None
    assert shards["56001-P3"].to_pylist()[0]["size"] is None, "a plate that is not there at all"


def test_folders_are_listed_once_and_files_never_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = candidates(["P1"] * 40 + ["P2"] * 10, [56000] * 50, ["2012-03-14"] * 50)
    put(tmp_path, table, 0, ".gz")
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    inventory(table, tmp_path)
    assert sorted(Path(path).name for path in listed) == ["P1", "P2"]


def test_unreadable_folders_and_bad_roots_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = candidates(["P1"], [56000], ["2012-03-14"])
    with refused(where=tmp_path / "absent", todo="spectra"):
        inventory(table, tmp_path / "absent")
    (tmp_path / "20120314").mkdir()
    (tmp_path / "20120314" / "P1").write_text("a file where a folder should be")
    with refused(where=tmp_path / "20120314" / "P1"):
        inventory(table, tmp_path)

    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    with refused(where=tmp_path / "20120314" / "P1"):
        inventory(table, tmp_path)


@pytest.mark.parametrize("planid", ["..", ".", "", "../../etc", "/etc", "a/b", "a\0b"])
def test_a_plate_that_can_be_no_folder_below_the_root_is_refused(tmp_path: Path, planid: str) -> None:
    table = candidates(["P1", planid, planid], [56000] * 3, ["2012-03-14"] * 3)
    with refused(1, 2, repr(planid), where="planid", todo="planid"):  # a plate, of two spectra
        inventory(table, tmp_path)


@pytest.mark.parametrize("lmjd", [5600, -5600, 123456])
def test_a_day_that_is_none_is_refused(tmp_path: Path, lmjd: int) -> None:
    with refused(lmjd, where="lmjd", todo=("planid", "lmjd")):
        inventory(candidates(["P1"], [lmjd], ["2012-03-14"]), tmp_path)


@pytest.mark.parametrize(
    "planid",
    ["P;id>PWNED;#", "A B", "a{b}", "O'NEIL", "-x", "é", "x.rejected", "a.b", "~", "*", "new\nline"],
)
def test_a_plate_is_found_by_its_own_name_and_called_by_a_safe_one(tmp_path: Path, planid: str) -> None:
    table = candidates([planid, planid], [56000] * 2, ["2012-03-14"] * 2)
    put(tmp_path, table, 0, ".gz")
    (name, rows), *others = inventory(table, tmp_path).items()
    assert re.fullmatch("56000-[A-Za-z0-9_+-]+", name) and not others
    assert rows["size"].to_pylist() == [None, 4] and f"/{planid}/" in rows["file"][1].as_py()


def test_a_plate_that_is_too_long_for_a_folder_has_missing_files(tmp_path: Path) -> None:
    ((name, rows),) = inventory(candidates(["x" * 300], [56000], ["2012-03-14"]), tmp_path).items()
    assert len(name) < 200 and rows["size"].null_count == 1
    with pytest.raises(SpectrumRejected) as why:
        read_spectrum(tmp_path / rows["file"][0].as_py())
    assert why.value.reason == "file_missing"


# ---------------------------------------------------------------- labels


def shard(folder: Path, name: str, obsids: list[int], cleaned: list[int], teff: list[float | None]) -> None:
    """Add candidates, and the cleaned spectra of some of them."""
    numbers = {
        name: pa.nulls(len(obsids), pa.float64()) for name in ("teff_err", "logg", "logg_err", "snr_r", "snr_i")
    }
    text = {name: pa.array(["x"] * len(obsids)) for name in ("star_id", "class")}
    rows = pa.table({"obsid": pa.array(obsids, pa.int64()), "teff": pa.array(teff, pa.float64()), **text, **numbers})
    path = folder / "candidates.parquet"
    write_parquet(pa.concat_tables([pq.read_table(path), rows]) if path.exists() else rows, path)
    flux = flux_column(np.zeros((len(cleaned), 3), np.int16))
    write_parquet(
        pa.table({"obsid": pa.array(cleaned, pa.int64()), "flux": flux}), folder / "spectra" / f"{name}.parquet"
    )


def task(source: str, *labels: str) -> Task:
    return task_of("atmosphere", labels, source=source)


def collected(folder: Path, asked: Task, match: Path | None = None) -> pa.Table:
    names = ("56001-B", "56000-A")
    return collect_labels(
        asked,
        folder / "candidates.parquet",
        (folder / "spectra" / f"{name}.parquet" for name in names),
        match,
    )


def test_cleaned_spectra_with_any_label(tmp_path: Path) -> None:
    shard(tmp_path, "56000-A", [1, 2, 3], cleaned=[1, 3], teff=[5000.0, 5001.0, None])
    shard(tmp_path, "56001-B", [4, 5], cleaned=[4, 5], teff=[5002.0, 5003.0])
    table = collected(tmp_path, task("lamost", "teff", "logg"))
    assert table.column_names == [
        *("obsid", "star_id", "class", "shard", "snr_r", "snr_i", "teff", "teff_err", "logg", "logg_err")
    ]
    assert table["obsid"].to_pylist() == [1, 4, 5], "2 was not cleaned, 3 has no label"
    assert table["shard"].to_pylist() == ["56000-A", "56001-B", "56001-B"]
    assert table["logg"].null_count == 3

    match = tmp_path / "match.parquet"
    write_parquet(
        pa.table({"obsid": [5, 2, 3], "mg_fe": [0.1, 0.2, 0.3], "mg_fe_err": pa.array([None, 0.1, 0.1])}), match
    )
    table = collected(tmp_path, task("apogee", "mg_fe"), match)
    assert table.select(["obsid", "mg_fe", "mg_fe_err"]).to_pylist() == [
        {"obsid": 3, "mg_fe": 0.3, "mg_fe_err": 0.1},
        {"obsid": 5, "mg_fe": 0.1, "mg_fe_err": None},
    ]
    with refused("c_fe", where=match):
        collected(tmp_path, task("apogee", "c_fe"), match)
    with refused("apogee", "mg_fe", where=tmp_path / "candidates.parquet"):
        collected(tmp_path, task("apogee", "mg_fe"))
    with refused("lamost", "mg_fe", where=tmp_path / "candidates.parquet"):
        collected(tmp_path, task("lamost", "mg_fe"))


def test_spectra_without_selected_rows_are_refused(tmp_path: Path) -> None:
    shard(tmp_path, "56000-A", [1, 2], cleaned=[1, 2, 3], teff=[5000.0, 5001.0])
    with refused(1, where="obsid 3 of shard 56000-A", todo="snakemake inventory clean"):
        collect_labels(
            task("lamost", "teff"), tmp_path / "candidates.parquet", [tmp_path / "spectra" / "56000-A.parquet"], None
        )
