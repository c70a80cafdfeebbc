"""Small files that stand for large ones: exact, readable by sha256sum, and not in want of the large ones' time."""

import hashlib
import os
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refusals import refused
from starglot import fingerprint as fingerprints
from starglot.fingerprint import Fingerprints
from starglot.surveys.index import index_table, indexed_shards, require_shards, sample_digests
from starglot.tables import read_digests, spectra_table, table_digest, write_digests, write_parquet, write_with_digest


def test_sha256sum_agrees(tmp_path):
    write_with_digest(pa.table({"obsid": [1, 2]}), tmp_path / "labels.parquet")
    said = subprocess.run(["sha256sum", "-c", "labels.parquet.sha256"], cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout == "labels.parquet: OK\n" and not said.returncode
    (tmp_path / "labels.parquet").write_bytes(b"other")
    assert subprocess.run(["sha256sum", "-c", "labels.parquet.sha256"], cwd=tmp_path, capture_output=True).returncode


def test_digests_are_read_back_with_what_is_said_about_them(tmp_path):
    (tmp_path / "a b.gz").write_bytes(b"one")
    write_digests([tmp_path / "a b.gz"], tmp_path / "all.sha256", {"rows": "beef"})
    assert read_digests(tmp_path / "all.sha256") == {"rows": "beef", "a b.gz": hashlib.sha256(b"one").hexdigest()}


def test_a_table_digest_is_of_values_and_schema_and_not_of_chunks():
    whole = pa.table({"obsid": pa.array([1, 2, 3]), "class": ["A", None, "K"]})
    chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert table_digest(whole) == table_digest(chunked)
    others = [
        whole.slice(1),
        whole.rename_columns(["obsid", "letter"]),
        pa.table({"obsid": pa.array([1, 2, 3], pa.int32()), "class": ["A", None, "K"]}),
        pa.table({"obsid": pa.array([1, 2, 3]), "class": ["A", "", "K"]}),
    ]
    assert len({table_digest(other) for other in [whole, *others]}) == 5


@pytest.fixture
def shards(tmp_path):
    for name in ("58000-B2", "55000-A1"):
        files = [tmp_path / f"{name}.parquet", tmp_path / f"{name}.rejected.parquet"]
        for path in files:
            path.write_text(path.name)
        write_digests(files, tmp_path / f"{name}.sha256")
    (tmp_path / "index.tsv").write_text(index_table(["58000-B2", "55000-A1"], tmp_path))
    return tmp_path


def test_the_index_lists_every_shard_with_its_digests(shards):
    head, first, _ = (line.split("\t") for line in (shards / "index.tsv").read_text().splitlines())
    assert head == ["shard", "spectra", "rejected"]
    digests = [
        hashlib.sha256(name.encode()).hexdigest() for name in ("55000-A1.parquet", "55000-A1.rejected.parquet")
    ]
    assert first == ["55000-A1", *digests]
    assert indexed_shards(shards / "index.tsv") == ["55000-A1", "58000-B2"]


def test_a_listed_shard_that_is_not_there_is_named(shards):
    assert require_shards(shards / "index.tsv", shards) == ["55000-A1", "58000-B2"]
    (shards / "58000-B2.parquet").unlink()
    with refused(1, 2, where=shards / "58000-B2.parquet", todo="snakemake clean"):
        require_shards(shards / "index.tsv", shards)


def test_a_shard_without_digests_is_named(shards):
    (shards / "58000-B2.sha256").unlink()
    with refused("58000-B2", where=shards / "58000-B2.sha256", todo="snakemake clean"):
        index_table(["58000-B2"], shards)


# ---------------------------------------------------------------- the spectra of a sample

FLUX = np.random.default_rng(0).integers(0, 1000, (6, 40)).astype(np.int16)
SHARDS = {"a": [10, 12], "b": [11, 14]}
GRID = {"recipe": {"max_gap": 30}}


def write_spectra(folder, shards, flux=FLUX, about=GRID):
    """Spectra by obsid, row 0 of the flux that of obsid 10."""
    for name, obsids in shards.items():
        rows = flux[np.array(obsids) - 10]
        stars = [f"gaia:{obsid}" for obsid in obsids]
        write_parquet(spectra_table(obsids, stars, rows, [0] * len(obsids)), folder / f"{name}.parquet", about)
    return folder / "index.tsv"


def of_sample(index, obsids=(10, 11, 12), shard=("a", "b", "a")):
    """Digests of a sample of three of the four stars; of all four there are labels."""
    labels = pa.table({"obsid": [*obsids, 14], "shard": [*shard, "b"], "teff": [5000.0, 5100.0, 5200.0, 6000.0]})
    return sample_digests(pa.table({"obsid": obsids}), labels, index)


def test_work_on_a_sample_stays_when_other_spectra_join_its_shards(tmp_path):
    first = of_sample(write_spectra(tmp_path, SHARDS))
    assert of_sample(write_spectra(tmp_path, {"a": [12, 13, 10], "b": [15, 11, 14]})) == first
    others = FLUX.copy()
    others[[3, 4, 5]] += 1
    assert of_sample(write_spectra(tmp_path, {"a": [10, 12, 13], "b": [11, 14]}, flux=others)) == first


@pytest.mark.parametrize("row", [0, 1, 2])
def test_work_on_a_sample_is_other_work_when_a_value_of_its_spectra_is_another(tmp_path, row):
    first = of_sample(write_spectra(tmp_path, SHARDS))
    other = FLUX.copy()
    other[row, 7] += 1
    changed = of_sample(write_spectra(tmp_path, SHARDS, flux=other))
    assert changed["spectra"] != first["spectra"] and changed["labels"] == first["labels"]
    exchanged = FLUX[[1, 0, 2, 3, 4, 5]]
    assert of_sample(write_spectra(tmp_path, SHARDS, flux=exchanged))["spectra"] != first["spectra"]
    recipe = {"recipe": {"max_gap": 25}}
    assert of_sample(write_spectra(tmp_path, SHARDS, about=recipe))["spectra"] != first["spectra"]


def test_spectra_of_before_there_were_digests_are_said(tmp_path):
    index = write_spectra(tmp_path, SHARDS)
    write_parquet(pq.read_table(tmp_path / "b.parquet").drop_columns(["flux_digest"]), tmp_path / "b.parquet")
    with refused(where=tmp_path / "b.parquet", todo="snakemake clean"):
        of_sample(index)


def test_a_spectrum_of_the_sample_that_is_not_cleaned_is_said(tmp_path):
    index = write_spectra(tmp_path, {"a": [10], "b": [11, 14]})
    with refused("1 spectra", where=tmp_path / "a.parquet"):
        of_sample(index)


@pytest.fixture
def reads(monkeypatch):
    """Files that were read in full."""
    seen = []

    def counted(path):
        seen.append(os.path.basename(path))
        return hashlib.sha256(open(path, "rb").read()).hexdigest()

    monkeypatch.setattr(fingerprints, "file_digest", counted)
    return seen


def test_a_file_from_outside_is_read_once(tmp_path, reads):
    catalog, known = tmp_path / "stellar.fits", tmp_path / "state/fingerprints.json"

    def digest():
        """As the next command sees it."""
        taken = Fingerprints(known)
        taken.keep()
        return taken.of(catalog)

    catalog.write_bytes(b"catalogue")
    first = digest()
    assert first == hashlib.sha256(b"catalogue").hexdigest() == digest()
    assert reads == ["stellar.fits"]
    os.utime(catalog)
    assert digest() == first and len(reads) == 2
    catalog.write_bytes(b"newer one")
    assert digest() != first
    shutil.rmtree(known.parent)
    assert digest() == hashlib.sha256(b"newer one").hexdigest()
    catalog.unlink()
    assert digest() == "absent"


def test_nothing_is_written_before_jobs_run_and_nothing_read_twice(tmp_path, reads):
    catalog, known = tmp_path / "stellar.fits", tmp_path / "state/fingerprints.json"
    catalog.write_bytes(b"catalogue")
    taken = Fingerprints(known)
    assert taken.of(catalog) == taken.of(catalog)
    assert os.listdir(tmp_path) == ["stellar.fits"] and reads == ["stellar.fits"]
    taken.keep()
    assert Fingerprints(known).of(catalog) == taken.of(catalog) and len(reads) == 1


def test_damaged_memory_of_digests_costs_a_reading_only(tmp_path, reads):
    catalog, known = tmp_path / "stellar.fits", tmp_path / "fingerprints.json"
    catalog.write_bytes(b"catalogue")
    known.write_text("{")
    taken = Fingerprints(known)
    taken.keep()
    assert taken.of(catalog) == Fingerprints(known).of(catalog)
    assert reads == ["stellar.fits"]
