"""Files appear whole or not at all; hashes are stable; progress becomes lines; errors say what to do."""

import errno
import io
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from refusals import refused
from starglot.cli import ProgressLines
from starglot.hashing import stable_hash, unit_interval
from starglot.tables import atomic_path, flux_column, flux_matrix, read_metadata, read_spectra, write_parquet


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_full_disk_is_said_in_words(tmp_path):
    with refused(where=tmp_path / "file.txt"):
        with atomic_path(tmp_path / "file.txt"):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_hashes_do_not_depend_on_order_or_process():
    names = [f"gaia:{i}" for i in range(50)]
    here = stable_hash(names, "seed")
    assert (stable_hash(names[::-1], "seed")[::-1] == here).all()
    assert (stable_hash(names, "other") != here).all()
    code = "from starglot.hashing import stable_hash; print(stable_hash(['gaia:7'], 'seed')[0])"
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "9"},
    )
    assert int(elsewhere.stdout) == here[7]


def test_hashes_fill_the_unit_interval_evenly():
    u = unit_interval(stable_hash(range(20_000), "x"))
    counts = np.histogram(u, bins=10, range=(0, 1))[0]
    assert u.min() >= 0 and u.max() < 1 and abs(counts - 2000).max() < 5 * np.sqrt(2000)


def test_spectra_come_back_in_the_order_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    flux = rng.integers(-2000, 1000, (6, 5)).astype(np.int16)
    for part in range(2):
        rows = slice(3 * part, 3 * part + 3)
        table = pa.table({"obsid": pa.array([10, 20, 30]) if part else [5, 15, 25], "flux": flux_column(flux[rows])})
        write_parquet(table, tmp_path / f"{part}.parquet", {"grid": 5})
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    got = read_spectra(paths, np.array([20, 5, 30, 15]))
    assert (got == flux[[4, 0, 5, 1]]).all()
    assert read_metadata(paths[0]) == {"grid": 5}
    assert flux_matrix(pa.table({"flux": flux_column(flux)})).tolist() == flux.tolist()
    with refused(1, where="obsid 7", todo="snakemake samples"):
        read_spectra(paths, np.array([5, 7]))


def test_redrawn_progress_becomes_few_lines():
    out = io.StringIO()
    lines = ProgressLines(out, every=1000)
    for i in range(100):
        lines.write(f"\r {i}%")
    lines.write("\ndone\n")
    assert out.getvalue() == " 99%\ndone\n"
