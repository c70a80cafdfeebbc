"""Baselines against scikit-learn and plain arithmetic."""

import numpy as np
import pyarrow as pa
import pytest
from baseline_spectra import BIN, GRID, NAMED, TASK, N, Survey, linear_survey
from scipy.special import expit
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import StandardScaler

from refusals import refused
from starglot.config.kinds.baselines import ClassMean, Ridge
from starglot.labels import CLASSES
from starglot.models.baselines.class_mean import read_class_mean
from starglot.models.baselines.files import WEIGHTS
from starglot.models.baselines.moments import Moments, solve
from starglot.models.baselines.predict import predict
from starglot.models.baselines.ridge import read_ridge
from starglot.models.class_probability import likeliest
from starglot.spectra import sample_flux
from starglot.spectra.rebin import binned
from starglot.tables import PREDICTION
from starglot.training.baselines import train_baseline
from starglot.training.plain import fit_plain
from tasks import task_of


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Survey:
    return linear_survey(tmp_path_factory.mktemp("spectra"))


READ = {"ridge": read_ridge, "class_mean": read_class_mean}


def trained(settings, task, survey, out, state, sample=None, labels=None):
    sample = survey.sample if sample is None else sample
    labels = survey.labels if labels is None else labels
    inputs = {"test": str(out)}
    return train_baseline(fit_plain, settings, task, sample, labels, survey.shard_path, out, state, inputs, "code")


def told(settings, task, survey, folder, rows, seen=()):
    def read(these):
        return READ[settings.kind](settings, task, folder, these, survey.shard_path)

    return predict(read, task, rows, survey.labels, seen)


def test_ridge_equals_scikit_learn(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_flux, "MAX_BLOCK", 50 * GRID)  # several blocks a shard
    settings = Ridge(kind="ridge", bin=BIN, alphas=[1.0, 30.0, 1000.0])
    manifest = trained(settings, TASK, survey, tmp_path / "out", tmp_path)
    table = told(settings, TASK, survey, tmp_path / "out", survey.of("test"), {"gaia:430"})
    assert table.schema == PREDICTION
    x, y, split = binned(survey.flux, BIN), survey.y, survey.split
    test = np.flatnonzero(split == "test")
    test = test[np.argsort(survey.obsid[test])]
    assert table["obsid"].to_pylist() == np.repeat(survey.obsid[test], 3).tolist()
    value = table["value"].to_numpy().reshape(-1, 3)
    for j, name in enumerate(TASK.labels):
        train = (split == "train") & np.isfinite(y[:, j])
        val = (split == "val") & np.isfinite(y[:, j])
        scaler = StandardScaler().fit(x[train])
        fits = [SklearnRidge(alpha=a).fit(scaler.transform(x[train]), y[train, j]) for a in settings.alphas]
        errors = [((f.predict(scaler.transform(x[val])) - y[val, j]) ** 2).sum() for f in fits]
        best = int(np.argmin(errors))
        facts = manifest["labels"][name]
        assert (facts["alpha"], facts["alpha_chosen_on"]) == (settings.alphas[best], "validation")
        assert (facts["train"], facts["val"]) == (train.sum(), val.sum())
        assert facts["val_rmse"] == pytest.approx(np.sqrt(errors[best] / val.sum()), rel=1e-4)
        assert value[:, j] == pytest.approx(fits[best].predict(scaler.transform(x[test])), rel=1e-4, abs=1e-4)
    assert table["sigma"].null_count == len(table)
    assert table["truth"].to_numpy(zero_copy_only=False)[2::3] == pytest.approx(y[test, 2], nan_ok=True)
    right = np.array(table["class_pred"].to_pylist()) == np.array(table["class"].to_pylist())
    assert right.mean() > 0.85  # F, G and K are found, too
    stated = expit(table["class_log_odds"].to_numpy())
    assert stated.min() > 0.2 and stated.mean() == pytest.approx(right.mean(), abs=0.1)
    assert stated[right].mean() > stated[~right].mean() + 0.1
    assert table["class_probability"].null_count == len(table)
    assert set(table.filter(table["seen"])["star_id"].to_pylist()) == {"gaia:430"}
    error = np.abs(value[:, 1] - y[test, 1]) / table["sigma_raw"].to_numpy().reshape(-1, 3)[:, 1]
    assert 0.5 < (error < 1).mean() < 0.85  # sigma_raw is a residual scatter


def test_a_label_that_nobody_has_is_not_answered(survey, tmp_path):
    for settings in (Ridge(kind="ridge", bin=BIN), ClassMean(kind="class_mean")):
        trained(settings, NAMED, survey, tmp_path / settings.kind, tmp_path)
        table = told(settings, NAMED, survey, tmp_path / settings.kind, survey.sample)
        assert set(table["class_pred"].to_pylist()) == {None}  # the task does not ask for it
        status = dict(zip(table["label"].to_pylist(), table["status"].to_pylist(), strict=True))
        assert status == {"mg_fe": "not_answered", "feh": "ok"}
        none = table.filter(pa.compute.equal(table["label"], "mg_fe"))
        assert none["value"].null_count == none["sigma_raw"].null_count == len(none)


def test_class_mean_is_the_mean_of_the_class(survey, tmp_path):
    settings = ClassMean(kind="class_mean")
    trained(settings, TASK, survey, tmp_path / "out", tmp_path)
    table = told(settings, TASK, survey, tmp_path / "out", survey.sample, pa.array(["gaia:1"]))
    teff = table.filter(pa.compute.equal(table["label"], "teff"))
    train = survey.split == "train"
    for c, letter in enumerate(CLASSES):
        mine = teff.filter(pa.compute.equal(teff["class"], letter))
        true = survey.y[train & (survey.code == c), 0].mean()
        assert mine["value"].to_pylist() == pytest.approx([true] * len(mine))
        assert mine["sigma_raw"][0].as_py() == pytest.approx(250, rel=0.35)
    # The catalogue's class is told to it, so that it tells none.
    assert teff["class_pred"].null_count == teff["class_log_odds"].null_count == len(teff)


def test_the_same_sample_gives_the_same_bytes_in_any_order(survey, tmp_path):
    settings = Ridge(kind="ridge", bin=BIN)
    trained(settings, TASK, survey, tmp_path / "a", tmp_path)
    order = pa.array(np.random.default_rng(3).permutation(N))
    mixed = {"sample": survey.sample.take(order), "labels": survey.labels.take(order)}
    trained(settings, TASK, survey, tmp_path / "b", tmp_path, **mixed)
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()


def test_the_same_work_is_handed_back(survey, tmp_path):
    settings, known = Ridge(kind="ridge", bin=BIN), ({"test": "once"}, "code")
    args = (fit_plain, settings, TASK, survey.sample, survey.labels, survey.shard_path)
    first = train_baseline(*args, tmp_path / "out", tmp_path / "state", *known)
    weights = (tmp_path / "out" / WEIGHTS).read_bytes()
    (tmp_path / "out" / WEIGHTS).unlink()

    def never(work):
        raise AssertionError("trained again")

    again = train_baseline(never, *args[1:], tmp_path / "out", tmp_path / "state", *known)
    assert again == first and (tmp_path / "out" / WEIGHTS).read_bytes() == weights


def test_without_validation_rows_cross_validation_chooses(survey, tmp_path):
    few = survey.sample.filter(pa.compute.not_equal(survey.sample["split"], "val"))
    settings = Ridge(kind="ridge", bin=BIN)
    manifest = trained(settings, TASK, survey, tmp_path / "out", tmp_path, sample=few)
    assert manifest["labels"]["teff"]["alpha_chosen_on"] == "generalised cross-validation"
    assert told(settings, TASK, survey, tmp_path / "out", few)["sigma_raw"].null_count == 0


def test_generalised_cross_validation_is_near_leave_one_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 40))
    y = x[:, :3].sum(1, keepdims=True) + rng.normal(0, 2, (60, 1))
    moments = Moments([[0]], x[0])
    moments.add(x, y)
    alphas = [0.1, 3.0, 30.0, 300.0]
    fit = solve(moments, Moments([[0]], x[0]), 0, alphas)
    loo = []
    for alpha in alphas:
        z = StandardScaler().fit_transform(x)
        hat = z @ np.linalg.solve(z.T @ z + alpha * np.eye(40), z.T) + 1 / 60
        loo.append((((y[:, 0] - y.mean()) - (hat - 1 / 60) @ (y[:, 0] - y.mean())) / (1 - np.diag(hat))) ** 2)
    best = int(np.argmin([e.mean() for e in loo]))
    assert abs(alphas.index(fit.alpha) - best) <= 1


def test_classes_are_told_as_by_linear_discriminants(survey):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from starglot.models.baselines.moments import discriminant

    x, code = binned(survey.flux, BIN)[:, :9].astype(float), survey.code
    moments = Moments([list(range(5))], x[0])
    moments.add(x, np.eye(5)[code])
    fit = solve(moments, Moments([list(range(5))], x[0]), 0, [1e-9])
    coefficient, intercept = discriminant(moments, 0, fit)
    told = np.argmax(x @ coefficient + intercept, axis=1)
    theirs = LinearDiscriminantAnalysis().fit(x, code)
    assert (told == theirs.predict(x)).mean() > 0.995
    # scikit-learn divides the scatter by n - classes, not n.
    probability = expit(likeliest(x @ coefficient + intercept)[1])
    assert probability == pytest.approx(theirs.predict_proba(x).max(axis=1), abs=0.01)


def test_what_is_wrong_is_said(survey, tmp_path):
    settings, out = Ridge(kind="ridge", bin=BIN), tmp_path / "out"
    with refused(where=f"{len(survey.of('test'))} spectra"):
        trained(settings, TASK, survey, out, tmp_path, sample=survey.of("test"))
    with refused(100, where="models: bin", todo="bin"):
        trained(Ridge(kind="ridge", bin=100), TASK, survey, out, tmp_path)
    with refused(where="obsid", todo="snakemake samples"):
        trained(settings, TASK, survey, out, tmp_path, labels=survey.labels.slice(5))
    with refused(where=tmp_path / "none" / WEIGHTS, todo="snakemake train"):
        told(settings, TASK, survey, tmp_path / "none", survey.sample)
    trained(ClassMean(kind="class_mean"), TASK, survey, out, tmp_path)
    with refused("class_mean", where=out / WEIGHTS, allowed="ridge", todo="snakemake train"):
        told(settings, TASK, survey, out, survey.sample)


@pytest.mark.parametrize(
    "settings", [Ridge(kind="ridge", bin=BIN), ClassMean(kind="class_mean")], ids=lambda s: s.kind
)
def test_a_task_without_groups_is_learnt_and_told_without_a_class(survey, tmp_path, settings):
    task = task_of("abundances", ["teff", "logg", "feh"], groups=None)
    none = survey.sample.set_column(2, "class", pa.nulls(len(survey.sample), pa.string()))
    trained(settings, task, survey, tmp_path / "out", tmp_path, sample=none)
    rows = none.filter(pa.compute.equal(none["split"], "test"))
    plain = told(settings, task, survey, tmp_path / "out", rows)
    assert plain["class_pred"].null_count == len(plain) and plain["value"].null_count == 0
    assert plain["sigma_raw"].null_count == 0
