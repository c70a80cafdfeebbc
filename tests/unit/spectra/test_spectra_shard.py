"""Shards: every selected id comes out once, whatever its file is like."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plate_files import KINDS, RECIPE, selection, write

from refusals import refused
from starglot.config.root import Recipe
from starglot.rejections import REJECTIONS
from starglot.spectra import shard as shards
from starglot.spectra.shard import clean_shard, spectra_metadata
from starglot.surveys.lamost_spectra import read
from starglot.tables import REJECTED, flux_matrix, read_metadata, spectra_schema, write_parquet


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spectra")
    for kind in KINDS[:5]:
        for seed in range(3):
            write(folder / "20170904" / "P" / f"{kind}-{seed}.fits.gz", kind, seed)
    return folder


@settings(max_examples=25)
@given(kinds=st.lists(st.sampled_from(KINDS), max_size=8))
def test_ids_are_conserved_in_order(kinds: list[str], root: Path) -> None:
    selected = selection(kinds)
    spectra, rejected = clean_shard(selected, root, RECIPE, read)
    assert spectra.schema == spectra_schema(101) and rejected.schema == REJECTED
    good = [obsid for obsid, kind in zip(selected["obsid"].to_pylist(), kinds, strict=True) if kind == "good"]
    bad = [obsid for obsid, kind in zip(selected["obsid"].to_pylist(), kinds, strict=True) if kind != "good"]
    assert spectra["obsid"].to_pylist() == good
    assert rejected["obsid"].to_pylist() == bad
    reasons = {"masked": "no_good_pixel", "cut": "file_unreadable", "nan": "flux_not_finite",
               "negative": "not_positive", "missing": "file_missing", "no path": "file_missing"}  # fmt: skip
    assert rejected["reason"].to_pylist() == [reasons[kind] for kind in kinds if kind != "good"]
    assert set(rejected["reason"].to_pylist()) <= set(REJECTIONS)


def test_details_name_the_file_and_star_ids_stay_with_their_spectra(root: Path) -> None:
    spectra, rejected = clean_shard(selection(["good", "cut", "good", "good"]), root, RECIPE, read)
    assert rejected["detail"][0].as_py().startswith("20170904/P/cut-1.fits.gz: ")
    assert spectra["star_id"].to_pylist() == ["gaia:0", "gaia:1", "gaia:1"]
    assert 900 < flux_matrix(spectra).max() <= 1000 and not spectra["n_masked"].to_numpy().any()


def test_the_number_of_workers_changes_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "CHUNK", 5)
    kinds = ["good", "cut", "good", "missing", "nan", "good", "masked"] * 3
    for workers in (1, 2, 50):
        for name, table in zip(
            ("spectra", "rejected"), clean_shard(selection(kinds), root, RECIPE, read, workers), strict=True
        ):
            write_parquet(table, tmp_path / f"{name}-{workers}.parquet", spectra_metadata(RECIPE))
    for name in ("spectra", "rejected"):
        files = [(tmp_path / f"{name}-{workers}.parquet").read_bytes() for workers in (1, 2, 50)]
        assert files[0] == files[1] == files[2]


def test_metadata_say_grid_unit_and_recipe(root: Path, tmp_path: Path) -> None:
    spectra, _ = clean_shard(selection(["good"]), root, RECIPE, read)
    write_parquet(spectra, tmp_path / "shard.parquet", spectra_metadata(RECIPE))
    metadata = read_metadata(tmp_path / "shard.parquet")
    assert metadata["wavelength"] == {"start": 3800, "stop": 3900, "step": 1, "size": 101}
    assert metadata["flux_scale"] == 1000
    assert Recipe.model_validate(metadata["recipe"]) == RECIPE


def test_an_absent_root_stops_the_shard_instead_of_rejecting_every_star(tmp_path: Path) -> None:
    with refused(where=tmp_path / "not mounted", todo="spectra") as caught:
        clean_shard(selection(["good"]), tmp_path / "not mounted", RECIPE, read)
    assert caught.value.where == tmp_path / "not mounted"


def test_a_plate_folder_that_may_not_be_read_stops_the_shard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # permissions do not bind root
    with refused(where=root / "20170904" / "P"):
        clean_shard(selection(["good"]), root, RECIPE, read)


def test_a_repeated_obsid_is_an_error(root: Path) -> None:
    selected = pa.concat_tables([selection(["good"]), selection(["good"])])
    with refused(where=f"obsid {selected['obsid'][0]}", todo="snakemake inventory"):
        clean_shard(selected, root, RECIPE, read)
