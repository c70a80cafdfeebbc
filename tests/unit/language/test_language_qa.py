"""Question-and-answer files: which rows go where, with which words, and always the same bytes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from refusals import refused
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.hashing import stable_hash
from starglot.language.answers import parse
from starglot.language.codec import Codec
from starglot.language.prompts import parse_question
from starglot.language.qa import file_names, read_qa, write_qa
from starglot.tables import SAMPLE, SPLITS, spectra_table, write_parquet
from tasks import task_of

GRID = Wavelength(start=4000, stop=4049)
ENCODING = Encoding(form="packed", bin=2)
FILES = {"train": 3, "val": 1, "test": 2}
ROWS, SEED = 120, 7


def task(form: str, labels: list[str], ask_all: float = 0.5) -> Task:
    return task_of(form, labels, source="apogee", balanced=False, sizes={"x": None}, ask_all=ask_all)


ATMOSPHERE = task("atmosphere", ["teff", "logg", "feh"])
ABUNDANCES = task("abundances", ["c_fe", "o_fe", "mg_fe"])


class Release:
    """Three shards with more spectra than the sample has, in no order."""

    def __init__(self, folder: Path):
        rng = np.random.default_rng(3)
        self.folder = folder
        self.obsid = rng.permutation(10**12 + rng.choice(5000, ROWS, replace=False))
        self.flux = dict(zip(self.obsid.tolist(), rng.integers(0, 1000, (ROWS, 50)).astype(np.int16), strict=True))
        shard = np.array(["55000-A", "55001-B", "55002-C"])[rng.integers(0, 3, ROWS)]
        for name in np.unique(shard):
            ids = self.obsid[shard == name]
            flux = np.stack([self.flux[i] for i in ids.tolist()])
            table = spectra_table(ids, [f"s{i}" for i in ids], flux, np.zeros(len(ids), np.int32))
            write_parquet(table, self.path(name), {})
        missing = rng.random((6, ROWS)) < 0.3
        names = ["teff", "logg", "feh", "c_fe", "o_fe", "mg_fe"]
        draws = [rng.uniform(3500, 7500, ROWS), *rng.uniform(0, 1, (5, ROWS))]
        values = {n: pa.array(d, mask=m & (n != "c_fe")) for n, d, m in zip(names, draws, missing, strict=True)}
        self.labels = pa.table({"obsid": self.obsid, "shard": shard, **values})
        split = np.array(["train", "val", "test"])[rng.choice(3, ROWS, p=[0.7, 0.1, 0.2])]
        letters = np.array(list("AFGKM"))[rng.integers(0, 5, ROWS)]
        everything = [self.obsid, [f"s{i}" for i in self.obsid], letters, split, np.zeros(ROWS, np.int8)]
        self.sample = pa.table(everything, schema=SAMPLE).slice(0, 100)

    def path(self, shard: str) -> Path:
        return self.folder / "spectra" / f"{shard}.parquet"

    def write(self, out: Path, task: Task, **change) -> dict:
        arguments = dict(encoding=ENCODING, wavelength=GRID, sample=self.sample, labels=self.labels, files=FILES)
        arguments |= dict(shard_path=self.path, seed=SEED, workers=1) | change
        return write_qa(out, task, **arguments)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Release:
    return Release(tmp_path_factory.mktemp("release"))


def rows_of(out: Path, split: str = "") -> list[dict]:
    return [row for path in sorted(out.glob(f"{split}*.jsonl.gz")) for row in read_qa(path)]


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize("task", [ATMOSPHERE, ABUNDANCES], ids=lambda t: t.question.form)
def test_every_row_is_in_its_file_once_with_its_flux_and_labels(release, tmp_path, task):
    manifest = release.write(tmp_path, task)
    assert sorted(contents(tmp_path)) == sorted(name for names in file_names(FILES).values() for name in names)
    sample = {row["obsid"]: row for row in release.sample.to_pylist()}
    labels = {row["obsid"]: row for row in release.labels.to_pylist()}
    codec = Codec(ENCODING, GRID)
    seen = []
    for split in SPLITS:
        for index, name in enumerate(file_names(FILES)[split]):
            ids = [row["obsid"] for row in read_qa(tmp_path / name)]
            assert ids == sorted(ids)
            assert all(
                sample[i]["split"] == split and stable_hash([i], "qa-file")[0] % FILES[split] == index for i in ids
            )
            seen += ids
        assert manifest["rows"][split] == sum(row["split"] == split for row in sample.values())
    assert sorted(seen) == sorted(sample)
    for row in rows_of(tmp_path):
        assert list(row) == ["obsid", "question", "answer"]
        asked, flux = parse_question(task, row["question"])
        assert np.array_equal(codec.parse(flux), codec.values(release.flux[row["obsid"]][None])[0])
        answer = parse(task, asked, row["answer"])
        assert answer.problem is None
        for name in asked:
            truth = labels[row["obsid"]][name]
            assert answer.values[name] == (
                None if truth is None else pytest.approx(truth, abs=0.5 if name == "teff" else 0.005)
            )
        if task.question.form == "atmosphere":
            assert asked == task.labels and answer.class_letter == sample[row["obsid"]]["class"]


def test_only_training_tells_which_labels_are_valid(release, tmp_path):
    release.write(tmp_path, ABUNDANCES)
    for split in ("val", "test"):
        assert all(
            parse_question(ABUNDANCES, row["question"])[0] == ABUNDANCES.labels for row in rows_of(tmp_path, split)
        )
    labels = {row["obsid"]: row for row in release.labels.to_pylist()}
    kinds = set()
    for row in rows_of(tmp_path, "train"):
        asked = parse_question(ABUNDANCES, row["question"])[0]
        valid = [name for name in ABUNDANCES.labels if labels[row["obsid"]][name] is not None]
        assert asked in (valid, ABUNDANCES.labels)
        kinds.add((asked == valid, asked == ABUNDANCES.labels))
    assert kinds == {(True, False), (False, True), (True, True)}


@pytest.mark.parametrize(("ask_all", "nulls"), [(0.0, False), (1.0, True)])
def test_ask_all_is_a_fraction(release, tmp_path, ask_all, nulls):
    release.write(tmp_path, task("abundances", ABUNDANCES.labels, ask_all))
    assert any("null" in row["answer"] for row in rows_of(tmp_path, "train")) == nulls


def test_same_bytes_whatever_the_workers_order_and_leftovers(release, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (second / ".spill").mkdir(parents=True)
    (second / ".spill" / "train-0").write_bytes(b"left by a killed run")
    release.write(first, ABUNDANCES)
    release.write(second, ABUNDANCES, workers=2, sample=release.sample.take(np.arange(100)[::-1]))
    assert contents(first) == contents(second)


def test_a_file_without_rows_is_there(release, tmp_path):
    only = release.sample.filter(pa.compute.equal(release.sample["split"], "train")).slice(0, 1)
    manifest = release.write(tmp_path, ATMOSPHERE, sample=only)
    assert len(contents(tmp_path)) == 6 and len(rows_of(tmp_path)) == 1
    assert manifest["rows"] == {"train": 1, "val": 0, "test": 0}
    assert gzip.decompress((tmp_path / "val-0000.jsonl.gz").read_bytes()) == b""
    assert release.write(tmp_path, ATMOSPHERE, sample=only.slice(0, 0))["rows"]["train"] == 0
    assert rows_of(tmp_path) == []


def test_what_is_missing_is_said_and_nothing_is_left(release, tmp_path):
    with refused(20, where="obsid", todo="snakemake samples"):
        release.write(tmp_path, ATMOSPHERE, labels=release.labels.slice(20))
    with refused(where=tmp_path / "absent", todo="snakemake clean"):
        release.write(tmp_path, ATMOSPHERE, shard_path=lambda shard: tmp_path / "absent")
    with refused(where=(release.path("55000-A"), "obsid"), todo="snakemake samples"):
        release.write(tmp_path, ATMOSPHERE, shard_path=lambda shard: release.path("55000-A"))
    with refused(where="qa: files", todo="qa.files"):
        release.write(tmp_path, ATMOSPHERE, files={"train": 1, "val": 0, "test": 1})
    with refused("teff", where="obsid"):
        at = release.labels.column_names.index("teff")
        nan = release.labels.set_column(at, "teff", pa.array(np.full(ROWS, np.nan)))
        release.write(tmp_path, ATMOSPHERE, labels=nan)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_off_file_is_said(release, tmp_path):
    release.write(tmp_path, ATMOSPHERE)
    path = tmp_path / "train-0000.jsonl.gz"
    whole = path.read_bytes()
    for broken in (whole[:-20], whole[:100] + bytes(50) + whole[150:], b"plain text"):
        path.write_bytes(broken)
        with refused(where=path, todo="snakemake qa"):
            list(read_qa(path))
    path.unlink()
    with refused(where=path, todo="snakemake qa"):
        list(read_qa(path))
    path.write_bytes(gzip.compress(json.dumps({"obsid": 1}).encode() + b"\nnot JSON\n"))
    with refused(where=path, todo="snakemake qa"):
        list(read_qa(path))
