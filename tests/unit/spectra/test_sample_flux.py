"""Flux by obsid: that of the shards, whatever the order, in a worker process too."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from starglot.errors import StarglotError
from starglot.surveys.index import COLUMNS, cleaned_spectra
from starglot.tables import write_text


@pytest.fixture(scope="module")
def index(survey) -> Path:
    lines = [
        COLUMNS,
        *((path.stem, f"digest of {path.stem}", "-") for path in sorted(survey.folder.glob("*.parquet"))),
    ]
    write_text("".join("\t".join(line) + "\n" for line in lines), survey.folder / "index.tsv")
    return survey.folder / "index.tsv"


def test_flux_by_obsid_is_that_of_the_shards_in_any_order(survey, index, tmp_path):
    chosen = np.random.default_rng(0).permutation(len(survey.obsid))[:60]
    flux = cleaned_spectra(survey.labels, index).mapped(survey.obsid[chosen], tmp_path)
    some = np.array([41, 3, 3, 59])
    assert np.array_equal(flux[survey.obsid[chosen[some]]], survey.flux[chosen[some]])
    assert np.array_equal(pickle.loads(pickle.dumps(flux))[survey.obsid[chosen]], survey.flux[chosen])
    assert len(pickle.dumps(flux)) < survey.flux[chosen].nbytes, "a worker process maps the file itself"


def test_blocks_hold_every_spectrum_once(survey, index):
    flux = np.zeros_like(survey.flux)
    for at, some in cleaned_spectra(survey.labels, index).blocks(survey.obsid, "flux"):
        flux[at] += some
    assert np.array_equal(flux, survey.flux)


def test_a_shard_that_was_cleaned_anew_is_read_anew(survey, index, tmp_path):
    spectra = cleaned_spectra(survey.labels, index)
    spectra.mapped(survey.obsid[:5], tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    spectra.digests["58000-A"] = "another digest"
    spectra.mapped(survey.obsid[:5], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_spectrum_that_is_not_there_is_named(survey, index, tmp_path):
    spectra = cleaned_spectra(survey.labels, index)
    with pytest.raises(StarglotError) as caught:
        spectra.of(np.array([survey.obsid[0], 10_001]))
    assert caught.value.where == "obsid 10001"
    with pytest.raises(StarglotError) as caught:
        spectra.mapped(survey.obsid[:3], tmp_path)[survey.obsid[3:4]]
    assert caught.value.where == f"obsid {survey.obsid[3]}"
