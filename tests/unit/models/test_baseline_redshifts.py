"""Constant, nearest neighbours and template fit, against plain arithmetic and known redshifts."""

from types import SimpleNamespace

import numpy as np
import pytest
from baseline_spectra import BIN, TASK, Survey, linear_survey
from scipy.special import expit
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from refusals import refused
from starglot.config.kinds.nearest import Constant, Knn, TemplateFit
from starglot.models.baselines.constant import read_constant
from starglot.models.baselines.knn import read_knn
from starglot.models.baselines.predict import predict
from starglot.models.baselines.template_fit import (
    fit_redshifts,
    fit_template_fit,
    make_templates,
)
from starglot.models.redshifts import SMALL_DELTA, Z_FITLIMIT
from starglot.spectra.rebin import binned
from starglot.training.baselines import train_baseline
from starglot.training.plain import fit_plain

READ = {"constant": read_constant, "knn": read_knn}


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Survey:
    return linear_survey(tmp_path_factory.mktemp("spectra"))


def told(settings, survey, folder):
    """Values (test rows, labels) of a trained model, in order of obsid, and the manifest of its training."""
    out = folder / settings.kind
    manifest = train_baseline(
        fit_plain, settings, TASK, survey.sample, survey.labels, survey.shard_path, out, folder / "state", {}, "code"
    )

    def read(rows):
        return READ[settings.kind](settings, TASK, out, rows, survey.shard_path)

    table = predict(read, TASK, survey.of("test"), survey.labels, ())
    return np.array(table["value"].to_pylist(), float).reshape(-1, 3), table, manifest


def test_the_constant_is_the_median_of_the_training_rows(survey, tmp_path):
    value, table, _ = told(Constant(kind="constant"), survey, tmp_path)
    expected = np.nanmedian(survey.y[survey.split == "train"], axis=0)
    np.testing.assert_allclose(value, np.tile(expected, (len(value), 1)))
    assert table["class_pred"].null_count == len(table)


def test_neighbours_are_scikit_learn_s(survey, tmp_path):
    value, table, _ = told(Knn(kind="knn", bin=BIN, neighbours=[3]), survey, tmp_path)
    flux = binned(survey.flux, BIN).astype(float)
    flux /= np.linalg.norm(flux, axis=1, keepdims=True)
    train, test = survey.split == "train", np.flatnonzero(survey.split == "test")
    model = KNeighborsRegressor(3, algorithm="brute").fit(flux[train], survey.y[train][:, :2])
    order = test[np.argsort(survey.obsid[test])]
    np.testing.assert_allclose(value[:, :2], model.predict(flux[order]), rtol=1e-4)
    letters = table["class_pred"].to_pylist()[::3]
    voters = KNeighborsClassifier(3, algorithm="brute").fit(flux[train], survey.code[train])
    shares = voters.predict_proba(flux[order]).max(axis=1)
    assert expit(table["class_log_odds"].to_numpy()[::3]) == pytest.approx(shares, abs=1e-5)
    assert (
        np.mean([a == b for a, b in zip(letters, table["class"].to_pylist()[::3], strict=True)]) > 0.6
    )  # by chance 0.2


def test_the_number_of_neighbours_is_the_best_on_validation_rows(survey, tmp_path):
    settings = Knn(kind="knn", bin=BIN, neighbours=[1, 5, 300])
    _, _, manifest = told(settings, survey, tmp_path)
    assert manifest["labels"]["teff"]["neighbours"] in (1, 5)


# ---------------------------------------------------------------- template fit

WAVE = 4000.0 + np.arange(2000)


def galaxies(number, seed):
    """Flux of mixtures of two smooth spectra with lines at rest, at known redshifts, with 2 % noise."""
    rng = np.random.default_rng(seed)
    z, mix = rng.uniform(0.02, 0.3, number), rng.uniform(0.2, 1, (number, 2))
    lines = ((3934.8, -0.4, 0.3), (4305.0, -0.3, 0.1), (4862.7, 0.2, 1.0), (5008.2, 0.1, 2.0), (5177.0, -0.4, 0.0))
    flux = np.empty((number, len(WAVE)))
    for row, (redshift, (old, gas)) in enumerate(zip(z, mix, strict=True)):
        rest = WAVE / (1 + redshift)
        flux[row] = old * (1 + 0.5 * np.tanh((rest - 4000) / 60)) + gas
        for centre, first, second in lines:
            flux[row] += (old * first + gas * second) * np.exp(-0.5 * ((rest - centre) / 6) ** 2)
    return flux + 0.02 * rng.standard_normal(flux.shape), z


@pytest.fixture(scope="module")
def templates():
    flux, z = galaxies(150, 1)
    return make_templates(flux.astype(np.float32), z, WAVE, 3, 1e-4, 8)


@pytest.mark.parametrize(("width", "accuracy"), [(1, 1e-4), (20, 2e-3)])
def test_redshifts_are_found_with_honest_errors(templates, width, accuracy):
    flux, z = galaxies(60, 2)
    count = len(WAVE) // width
    found = fit_redshifts(templates, flux[:, : count * width].reshape(60, count, width).mean(axis=2), WAVE, width)
    off = found.z - z
    assert np.median(np.abs(off)) < accuracy
    pulls = off / found.z_err
    assert 0.4 < 1.4826 * np.median(np.abs(pulls)) < 2.5
    assert (found.doubt.gap[found.doubt.warning == 0] >= 9).all() and (found.doubt.warning == 0).mean() > 0.8
    assert (np.abs(found.doubt.second - found.z) / (1 + found.z) * 299792.458 > 900).all()


def test_noise_is_warned_of_and_so_is_the_end_of_the_range(templates):
    rng = np.random.default_rng(3)
    found = fit_redshifts(templates, 1 + rng.standard_normal((40, len(WAVE))), WAVE, 1)
    assert (found.doubt.warning & SMALL_DELTA > 0).mean() > 0.5
    flux, z = galaxies(40, 4)
    short = type(templates)(templates.vectors, templates.start, templates.step, templates.z[templates.z < 0.15])
    beyond = fit_redshifts(short, flux[z > 0.2], WAVE, 1)
    assert (beyond.doubt.warning > 0).mean() > 0.3 and (beyond.doubt.warning & Z_FITLIMIT > 0).any()


def test_templates_need_one_label(survey):
    rows = SimpleNamespace(truth=np.zeros((3, 2)))
    with refused("2", allowed="redshift"):
        fit_template_fit(TemplateFit(kind="template_fit"), rows, rows, survey.shard_path)
