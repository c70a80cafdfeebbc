"""Gradient-boosted trees: the same bytes again, also after a kill; and the sample as one mapped array."""

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
from baseline_spectra import NAMED, TASK, Survey, linear_survey
from scipy.special import logit

from refusals import refused
from starglot.config.kinds.baselines import LightGbm
from starglot.labels import CLASSES
from starglot.models.baselines.features import prepared
from starglot.models.baselines.predict import predict
from starglot.models.baselines.rows import rows_of
from starglot.models.baselines.trees import read_trees, tree_file
from starglot.spectra import sample_flux
from starglot.spectra.continuum import smooth_continuum
from starglot.spectra.rebin import binned
from starglot.spectra.sample_flux import Bins, map_flux
from starglot.training import trees
from starglot.training.baselines import train_baseline
from starglot.training.trees import fit_trees
from tasks import task_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Survey:
    return linear_survey(tmp_path_factory.mktemp("spectra"))


SETTINGS = LightGbm(kind="lightgbm", bin=4, rounds=80, stop_after=10, leaves=8, features=0.5)


def trained(survey, out, state, settings=SETTINGS, task=TASK, sample=None):
    sample = survey.sample if sample is None else sample
    inputs = {"rows": str(len(sample))}
    return train_baseline(
        fit_trees, settings, task, sample, survey.labels, survey.shard_path, out, state, inputs, "code"
    )


def told(survey, folder, rows, settings=SETTINGS, task=TASK):
    def read(these):
        return read_trees(settings, task, folder, these, survey.shard_path)

    return predict(read, task, rows, survey.labels, [])


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "run.json"}


def test_trees_learn_more_than_the_class_and_stop_early(survey, tmp_path):
    manifest = trained(survey, tmp_path / "out", tmp_path / "state")
    assert 5 < manifest["labels"]["logg"]["rounds"] < 80
    table = told(survey, tmp_path / "out", survey.of("test"))
    truth = rows_of(TASK, survey.of("test").sort_by("obsid"), survey.labels).truth
    error = table["value"].to_numpy().reshape(-1, 3) - truth
    for j in (1, 2):  # not tied to the class
        known = np.isfinite(truth[:, j])
        assert (error[known, j] ** 2).mean() < 0.4 * truth[known, j].var()
    right = np.array(table["class_pred"].to_pylist()) == np.array(table["class"].to_pylist())
    assert right.mean() > 0.8
    binning = prepared(binned(survey.flux, SETTINGS.bin), SETTINGS)[survey.split == "test"]
    theirs = lightgbm.Booster(model_file=str(tmp_path / "out" / tree_file("class"))).predict(binning)
    order = np.argsort(survey.obsid[survey.split == "test"])
    assert table["class_log_odds"].to_numpy()[::3] == pytest.approx(logit(theirs[order].max(axis=1)))
    inside = np.abs(error[:, 1]) < table["sigma_raw"].to_numpy().reshape(-1, 3)[:, 1]
    assert 0.5 < inside.mean() < 0.85


def test_the_same_seed_gives_the_same_bytes_also_after_a_kill(survey, tmp_path, monkeypatch):
    trained(survey, tmp_path / "one", tmp_path / "a")
    train, names = trees._train, []

    class Killed(Exception):
        pass

    def dies(settings, name, *rest):
        names.append(name)
        if len(names) == 3:
            raise Killed
        return train(settings, name, *rest)

    monkeypatch.setattr(trees, "_train", dies)
    with pytest.raises(Killed):
        trained(survey, tmp_path / "two", tmp_path / "b")
    trained(survey, tmp_path / "two", tmp_path / "b")
    assert names == ["teff", "logg", "feh", "feh", "class"]
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert b"num_threads" not in files(tmp_path / "one")[tree_file("teff")]


def test_a_class_absent_a_label_that_nobody_has_and_a_cap_on_rows(survey, tmp_path):
    letters = np.array(survey.sample["class"].to_pylist())
    sample = survey.sample.filter(pa.array(letters != "G"))
    settings = SETTINGS.model_copy(update={"rows": 200})
    manifest = trained(survey, tmp_path / "out", tmp_path / "state", settings, NAMED, sample)
    assert (manifest["counts"]["used"], manifest["labels"]["mg_fe"]["rounds"]) == (200, 0)
    assert not (tmp_path / "out" / tree_file("mg_fe")).exists()
    table = told(survey, tmp_path / "out", survey.of("test"), settings, NAMED)
    status = dict(zip(table["label"].to_pylist(), table["status"].to_pylist(), strict=True))
    assert status == {"mg_fe": "not_answered", "feh": "ok"}
    trained(survey, tmp_path / "stage1", tmp_path / "state", settings, TASK, sample)
    told_classes = set(told(survey, tmp_path / "stage1", survey.of("test"), settings)["class_pred"].to_pylist())
    assert told_classes <= set(CLASSES) - {"G"} and len(told_classes) > 2


def test_trees_that_cannot_be_read_are_said(survey, tmp_path):
    trained(survey, tmp_path / "out", tmp_path / "state")
    (tmp_path / "out" / tree_file("logg")).write_text("no trees\n")
    with refused(where=tmp_path / "out" / tree_file("logg"), todo="snakemake train"):
        told(survey, tmp_path / "out", survey.of("test"))


def test_the_mapped_flux_is_that_of_the_shards_and_is_made_once(survey, tmp_path, monkeypatch):
    rows = rows_of(TASK, survey.of("train"), survey.labels)
    inputs = {shard: "digest" for shard in rows.shards}
    flux = map_flux(rows, survey.shard_path, inputs, tmp_path)
    assert np.array_equal(flux, survey.flux[survey.split == "train"])
    again = map_flux(rows, lambda shard: tmp_path / "nowhere", inputs, tmp_path)
    assert np.array_equal(again, flux) and isinstance(again, np.memmap)
    chosen = np.array([7, 3, 3, 40])
    at = np.arange(10, 60)
    held = Bins(flux, at, SETTINGS.bin)[chosen]
    monkeypatch.setattr(sample_flux, "_HELD", 0)
    assert np.array_equal(Bins(flux, at, SETTINGS.bin)[chosen], held)
    assert held == pytest.approx(flux[at[chosen]].reshape(4, 16, 4).mean(axis=2) / 1000, abs=1e-6)


def test_flux_is_prepared_as_is_or_by_its_continuum(survey):
    flux = binned(survey.flux[:3], 4)
    assert np.array_equal(prepared(flux, SETTINGS), flux)
    features = prepared(flux, SETTINGS.model_copy(update={"preparation": "continuum"}))
    assert features.shape == (3, 16 + 10)
    assert features[:, :16] == pytest.approx(flux / smooth_continuum(flux), rel=1e-5)
    assert features[0, 16] == pytest.approx(np.log(flux[0, :2].mean()), rel=1e-5)


def test_trees_without_groups_tell_no_class(survey, tmp_path):
    task = task_of("abundances", ["teff"], groups=None)
    none = survey.sample.set_column(2, "class", pa.nulls(len(survey.sample), pa.string()))
    trained(survey, tmp_path / "out", tmp_path / "state", task=task, sample=none)
    table = told(survey, tmp_path / "out", none.filter(pa.compute.equal(none["split"], "test")), task=task)
    assert table["class_pred"].null_count == len(table) and table["value"].null_count == 0
    assert not (tmp_path / "out" / "trees-class.txt").exists()
