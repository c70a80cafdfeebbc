"""Catalogues of our own: many spectra to one table, each once, through kills; read back by astropy and STILTS."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table
from described_model import WAVELENGTH, build, star

from refusals import refused
from starglot.commands.apply import apply
from starglot.commands.predict import SOME_REFUSED
from starglot.inference import files, gather, shards
from starglot.inference.catalogue import OF_SURVEY, answer_columns, answer_part, catalogue_facts
from starglot.inference.flags import BITS, FLAGS, OF_SPECTRUM, named
from starglot.inference.load import Model
from starglot.labels import LABELS
from starglot.tables import REJECTED, SELECTED, read_metadata, spectra_table, write_parquet

N = 60
SHARD = "59000-A"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("described"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return Model(folder)


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stars in two folders, with a noisy one, one without the red end, a broken one, and another file."""
    root = tmp_path_factory.mktemp("spectra")
    rng = np.random.default_rng(3)
    for at in range(N):
        place = root / ("a" if at % 2 else "b")
        place.mkdir(exist_ok=True)
        flux, error = star(rng.uniform(4500, 8500), rng.uniform(-1, 0.3), 4 if at == 7 else 80, 900 + at)
        keep = WAVELENGTH < (8000 if at == 9 else 9999)
        table = {"wavelength": WAVELENGTH[keep], "flux": flux[keep], "error": error[keep]}
        pd.DataFrame(table).to_parquet(place / f"star-{at:03d}.parquet")
    (root / "a" / "broken.fits").write_bytes(b"SIMPLE  =")
    (root / "a" / "notes.txt").write_text("none of them")
    return root


def rows_of(path: Path) -> pd.DataFrame:
    return pq.read_table(path).to_pandas()


@pytest.fixture(scope="module")
def whole(folder: Path, spectra: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "catalogue.parquet"
    assert apply(folder, spectra, out, shard_size=16) == SOME_REFUSED
    return out


def test_every_file_is_a_row_with_the_answer_that_it_has_alone(model: Model, spectra: Path, whole: Path) -> None:
    rows = rows_of(whole)
    names = sorted(str(path.relative_to(spectra)) for path in spectra.rglob("*.*") if path.suffix != ".txt")
    assert rows["file"].tolist() == names and rows["number"].tolist() == list(range(N + 1))
    for at in (1, 20, 45):
        alone = model.predict(spectra / names[at], wide=True).iloc[0]
        assert rows.loc[at, "class"] == alone["class"] != ""
        for name in ("class_probability", "teff", "teff_sigma", "feh", "feh_sigma", "excess", "snr"):
            np.testing.assert_allclose(rows.loc[at, name], alone[name], rtol=1e-9)
        assert rows.loc[at, "flag_names"] == alone["flags"]
    by_name = rows.set_index("file")
    broken = by_name.loc["a/broken.fits"]
    assert broken["flags"] == BITS["rejected"] and broken["rejection"] == "file_unreadable"
    assert broken["class"] == "" and np.isnan(broken["class_probability"])
    assert np.isnan(broken["teff"]) and np.isnan(broken["teff_sigma"]) and broken["teff_flags"] == 0
    assert by_name.loc["a/star-007.parquet", "flags"] & BITS["low_snr"]
    assert by_name.loc["a/star-009.parquet", "flags"] & BITS["part_missing"]
    assert not files.work_folder(whole).exists()


def test_flags_in_words_are_the_bits(whole: Path) -> None:
    rows = rows_of(whole)
    for row in rows.to_dict("records"):
        words = [word for word in row["flag_names"].split(";") if word]
        bits = {word for word in words if ":" not in word}
        assert {flag for flag in named(row["flags"]) if flag in (*OF_SPECTRUM, "rejected")} == bits
        for label in ("teff", "feh"):
            own = {word.partition(":")[2] for word in words if word.startswith(f"{label}:")}
            assert set(named(row[f"{label}_flags"])) == own
            assert row["flags"] & row[f"{label}_flags"] == row[f"{label}_flags"]
    assert list(BITS.values()) == [1 << at for at in range(len(FLAGS))]


def test_jobs_and_a_second_run_give_the_same_bytes(folder: Path, spectra: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.parquet"
    apply(folder, spectra, out, jobs=2, shard_size=16)
    assert out.read_bytes() == whole.read_bytes()


def test_killed_twice_it_goes_on_and_each_file_is_there_once(
    folder: Path, spectra: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed.parquet"
    work = files.work_folder(out)
    command = [sys.executable, "-m", "starglot", "apply", "--model", folder, "--spectra", spectra, "--out", out]
    done: set[Path] = set()
    for jobs, number in (("1", signal.SIGKILL), ("2", signal.SIGTERM)):
        process = subprocess.Popen(
            [*map(str, command), "--shard-size", "16", "--jobs", jobs], stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and len(set(work.glob("shard-*")) - done) < 1 and process.poll() is None:
            time.sleep(0.001)
        os.kill(process.pid, number)
        said = process.communicate(timeout=60)[1]
        assert process.returncode in (-number, 128 + number), said
        assert "Traceback" not in said
        done = set(work.glob("shard-*"))
        assert done
    kept = {path: path.stat().st_mtime_ns for path in done}
    before = files.begin(folder, spectra, out, 16)
    assert len(before.missing) == 4 - len(done)
    files.answer_files(before, 1, lambda n: None)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    files.finish(before, out)
    assert out.read_bytes() == whole.read_bytes()


def test_work_on_other_files_or_in_other_shards_is_not_mixed(folder: Path, spectra: Path, tmp_path: Path) -> None:
    out = tmp_path / "catalogue.fits"
    listed = tmp_path / "list.txt"
    listed.write_text(f"{spectra}/a/star-001.parquet\n\n{spectra}/nowhere.fits\n")
    files.begin(folder, listed, out, 16)
    with refused("--shard-size", where=f"{files.work_folder(out)}", todo="rm"):
        files.begin(folder, listed, out, 8)
    with refused("files", where=f"{files.work_folder(out)}", todo="rm"):
        files.begin(folder, spectra, out, 16)
    assert apply(folder, listed, out, shard_size=16) == SOME_REFUSED
    table = Table.read(out)
    assert np.ma.filled(table["rejection"], "").tolist() == ["", "file_missing"]


def test_a_list_may_be_a_table_with_the_class_of_each(
    folder: Path, model: Model, spectra: Path, tmp_path: Path
) -> None:
    names = [f"{spectra}/a/star-{at:03d}.parquet" for at in (1, 3, 5)]
    for ending in ("csv", "fits", "parquet"):
        listed = tmp_path / f"list.{ending}"
        table = Table({"file": names, "class": ["A", "G", "K"], "other": [1, 2, 3]})
        table.write(listed)
        out = tmp_path / f"{ending}.parquet"
        assert apply(folder, listed, out) == 0
        assert rows_of(out)["file"].tolist() == names
        expected = model.predict(names, classes=["A", "G", "K"], wide=True)["teff_sigma"]
        np.testing.assert_allclose(rows_of(out)["teff_sigma"], expected, rtol=1e-9)


def test_what_is_no_list_of_spectra_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for spectra, where in ((tmp_path / "empty", "empty"), (tmp_path / "nowhere", "nowhere")):
        with refused(where=where):
            files.begin(folder, spectra, tmp_path / "out.fits", 10)
    Table({"path": ["a"]}).write(tmp_path / "list.csv")
    with refused(allowed=("file", "path")):
        files.begin(folder, tmp_path / "list.csv", tmp_path / "out.fits", 10)
    assert not files.work_folder(tmp_path / "out.fits").exists()


# ---- shards of a survey


@pytest.fixture
def shard(tmp_path: Path, model: Model) -> tuple[pa.Table, Path, Path, Path]:
    """Selected rows of a shard, the survey's rows, the cleaned spectra and what was rejected."""
    obsids = [40, 10, 30, 20]
    obsids.sort()
    selected = pa.table(
        [obsids, [f"gaia:{at}" for at in obsids], ["f"] * 4, [0] * 4, [1] * 4, [1] * 4], schema=SELECTED
    )
    columns = {
        "obsid": [20, 10, 99, 40, 30],
        "shard": [SHARD, SHARD, "other", SHARD, SHARD],
        "gaia_source_id": ["2", None, "9", "4", "3"],
        "uid": [None, "u1", "u9", "u4", "u3"],
        "ra": [2.0, 1.0, 9.0, 4.0, 3.0],
        "dec": [-2.0, -1.0, -9.0, -4.0, -3.0],
        "class": ["F", "A", "M", "K", "G"],
        "snr_r": [20.0, 100.0, 90.0, 2.0, 30.0],
    }
    pq.write_table(pa.table(columns), tmp_path / "candidates.parquet")
    singles = [model.read((WAVELENGTH, *star(5000.0 + 50 * at, 0.0, 80, at)))[0] for at in (10, 30, 40)]
    flux = np.stack([single.flux for single in singles if single.flux is not None])
    spectra = spectra_table([10, 30, 40], ["gaia:10", "gaia:30", "gaia:40"], flux, [1, 3, 4])
    write_parquet(spectra, tmp_path / "spectra.parquet")
    write_parquet(pa.table([[20], ["no_good_pixel"], [""]], schema=REJECTED), tmp_path / "rejected.parquet")
    return selected, tmp_path / "candidates.parquet", tmp_path / "spectra.parquet", tmp_path / "rejected.parquet"


def test_every_selected_spectrum_of_a_shard_is_a_row(model: Model, shard: tuple[pa.Table, Path, Path, Path]) -> None:
    selected, candidates, spectra, rejected = shard
    known = shards.shard_stars(selected, candidates, SHARD, ["uid"], True)
    rows = answer_part(model, shards.shard_part(known, ["uid"], spectra, rejected)).to_pandas()
    assert rows["obsid"].tolist() == [10, 20, 30, 40]
    assert rows["star_id"].tolist() == [f"gaia:{at}" for at in rows["obsid"]]
    assert rows["uid"].tolist() == ["u1", "", "u3", "u4"] and rows["ra"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert rows["rejection"].tolist() == ["", "no_good_pixel", "", ""]
    assert np.isnan(rows["teff"]).tolist() == [False, True, False, False]
    assert np.isnan(rows["n_masked"]).tolist() == [False, True, False, False]
    assert [bool(bits & BITS["low_snr"]) for bits in rows["flags"]] == [False, False, True, True]
    assert not (rows["flags"] & BITS["part_missing"]).any()
    flux = [star(5000.0 + 50 * at, 0.0, 80, at) for at in (10, 30, 40)]
    alone = model.predict([(WAVELENGTH, *each) for each in flux], classes=["A", "G", "K"], wide=True)
    for name in ("teff", "teff_sigma", "feh", "feh_sigma", "excess"):
        np.testing.assert_allclose(rows[name].drop(1), alone[name], rtol=1e-9)


def test_a_shard_that_lost_a_spectrum_is_refused(shard: tuple[pa.Table, Path, Path, Path]) -> None:
    selected, candidates, spectra, rejected = shard
    known = shards.shard_stars(selected, candidates, SHARD, [], False)
    assert known["class"].null_count == len(known)
    write_parquet(REJECTED.empty_table(), rejected)
    with refused(where=("3", "0", "4"), todo="snakemake clean"):
        shards.shard_part(known, [], spectra, rejected)
    with refused("4", where="other", todo="inventory"):
        shards.shard_stars(selected, candidates, "other", [], False)


# ---- shards put together


@pytest.fixture(scope="module")
def parts(model: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], pa.Table]:
    """Shards whose obsids lie among each other, one of them empty; and all rows by obsid."""
    rng = np.random.default_rng(1)
    schema = pa.schema([column.field for column in (*OF_SURVEY, *answer_columns(model.labels))])
    place, paths, every = tmp_path_factory.mktemp("parts"), [], []
    for number, n in enumerate((40, 0, 25, 1)):
        columns = {}
        for field in schema:
            if field.type == pa.string():
                columns[field.name] = [f"{field.name}-{'µ' if at == 3 else at}" for at in rng.integers(0, 99, n)]
            elif field.type == pa.float64():
                columns[field.name] = [None if at == 2 else value for at, value in enumerate(rng.normal(0, 1, n))]
            else:
                columns[field.name] = rng.integers(0, 64, n)
        columns["obsid"] = rng.permutation(1000)[:n] * 10 + number
        paths.append(place / f"{number}.parquet")
        every.append(pa.table(columns, schema=schema))
        write_parquet(every[-1], paths[-1])
    return paths, pa.concat_tables(every).sort_by("obsid")


@pytest.mark.parametrize("block", [7, 10_000])
def test_parts_become_one_table_by_obsid(
    parts: tuple[list[Path], pa.Table], folder: Path, tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "BLOCK", block)
    paths, expected = parts
    outs = [tmp_path / "c.parquet", tmp_path / "c.fits"]
    facts = catalogue_facts(folder, "lamost", "dr11")
    counts = gather.gather(paths, facts, outs, key="obsid")
    table = pq.read_table(outs[0])
    assert table.replace_schema_metadata(None).equals(expected)
    rejected = int(np.sum(expected["flags"].to_numpy() & BITS["rejected"] > 0))
    assert counts["rows"] == 66 and counts["answered"] == 66 - rejected
    with fits.open(outs[1]) as opened:
        opened.verify("exception")
        header = opened[1].header
        for number, field in enumerate(expected.schema, start=1):
            assert header[f"TTYPE{number}"] == field.name
            parse_ucd(header[f"TUCD{number}"], check_controlled_vocabulary=True, has_colon=False)
        assert outs[1].stat().st_size % 2880 == 0
        assert (header["MODEL"], header["RELEASE"], header["NANSWER"]) == ("ridge", "dr11", counts["answered"])
        assert [header[f"FLAG{at}"] for at in range(len(FLAGS))] == list(FLAGS)
        fitted = facts["class_calibration"]
        assert f"slope {fitted['slope']:.6g}" in " ".join(header["COMMENT"]) and fitted["n"] > 50
    read = {"fits": Table.read(outs[1]), "parquet": Table.read(outs[0])}
    for name in expected.column_names:
        truth = expected[name].to_pandas()
        for ending, one in read.items():
            values = np.ma.filled(np.ma.asarray(one[name]), np.nan if one[name].dtype.kind == "f" else None)
            if truth.dtype.kind in "fi":
                np.testing.assert_array_equal(values.astype(float), truth.astype(float), err_msg=f"{ending} {name}")
            else:
                plain = [text.replace("µ", "\\xb5") if ending == "fits" else text for text in truth]
                assert [str(text) for text in values] == plain
    for label in ("teff", "feh"):
        for name in (label, f"{label}_sigma"):
            assert {str(one[name].unit) for one in read.values()} == {LABELS[label].unit}
    assert read["parquet"]["teff"].meta["ucd"] == "phys.temperature.effective"
    assert read_metadata(outs[0])["model_sha256"] == fits.getheader(outs[1], 1)["MODSHA"]


def test_topcat_reads_it(parts: tuple[list[Path], pa.Table], folder: Path, tmp_path: Path) -> None:
    """By STILTS, which reads tables with TOPCAT's own library: columns, values, what is missing, a valid VOTable."""
    if not shutil.which("stilts"):
        pytest.skip("STILTS is not installed: apt install stilts")
    out, votable = tmp_path / "c.fits", tmp_path / "c.xml"
    gather.gather(parts[0], catalogue_facts(folder, "lamost", "dr11"), [out], key="obsid")

    def stilts(*arguments: str) -> str:
        done = subprocess.run(["stilts", *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert not done.returncode, done.stderr
        return done.stdout

    said = stilts("tpipe", f"in={out}", "cmd=meta name class units ucd description", "ofmt=csv")
    rows = {row["Name"]: row for row in csv.DictReader(said.splitlines())}
    kinds = {"double": "Double", "int64": "Long", "int32": "Integer", "int16": "Short", "string": "String"}
    for field in parts[1].schema:
        about = {key.decode(): text.decode() for key, text in field.metadata.items()}
        row = rows.pop(field.name)
        assert (row["Class"], row["Units"], row["UCD"]) == (
            kinds[str(field.type)], about.get("unit", ""), about["ucd"])  # fmt: skip
        assert row["Description"] == about["description"]
    assert not rows
    counted = stilts("tpipe", f"in={out}", "cmd=stats name nGood mean", "ofmt=csv")
    for row in csv.DictReader(counted.splitlines()):
        truth = parts[1][row["Name"]].to_pandas()
        if truth.dtype.kind in "fi":
            assert int(row["NGood"]) == truth.notna().sum()
            assert float(row["Mean"]) == pytest.approx(truth.mean(), rel=1e-6)
    stilts("tcopy", f"in={out}", f"out={votable}", "ofmt=votable")
    assert "ERROR" not in stilts("votlint", "ucd=true", "unit=true", f"votable={votable}")


def test_a_catalogue_has_the_same_bytes_again(
    parts: tuple[list[Path], pa.Table], folder: Path, tmp_path: Path
) -> None:
    facts = catalogue_facts(folder, "lamost", "dr11")
    made = []
    for name in ("one", "two"):
        outs = [tmp_path / f"{name}.parquet", tmp_path / f"{name}.fits"]
        gather.gather(parts[0], facts, outs, key="obsid")
        made.append([out.read_bytes() for out in outs])
    assert made[0] == made[1]


def test_a_spectrum_in_two_shards_is_refused(
    parts: tuple[list[Path], pa.Table], folder: Path, tmp_path: Path
) -> None:
    facts, out = catalogue_facts(folder, "lamost", "dr11"), tmp_path / "c.parquet"
    with refused("25", todo="inventory"):
        gather.gather([*parts[0], parts[0][2]], facts, [out], key="obsid")
    assert not out.exists()


def test_every_label_has_a_ucd_that_the_ivoa_knows() -> None:
    for column in (*OF_SURVEY, *answer_columns(list(LABELS)), *files.OF_FILE):
        assert column.ucd and column.description, column.name
        parse_ucd(column.ucd, check_controlled_vocabulary=True)
