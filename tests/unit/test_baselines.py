"""Baselines against scikit-learn and plain arithmetic."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import StandardScaler

from starglot.config.models import ClassMean, Ridge, Task
from starglot.errors import StarglotError
from starglot.glossary import CLASSES
from starglot.models import baselines
from starglot.models.baselines import binned, predict_baseline, train_baseline
from starglot.models.ridge import Moments, solve
from starglot.tables import PREDICTION, SAMPLE, flux_column, spectra_schema, write_parquet

TASK = Task(source="lamost", labels=["teff", "logg", "feh"], prompt="atmosphere", balanced=True, sizes={"s": 4})
NAMED = Task(source="apogee", labels=["mg_fe", "feh"], prompt="abundances", balanced=False, sizes={"all": None})
GRID, BIN, N = 64, 4, 500


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Spectra whose bins are linear in the labels, on two shards; [Fe/H] is missing for some, [Mg/Fe] for all."""
    folder = tmp_path_factory.mktemp("spectra")
    rng = np.random.default_rng(1)
    code = rng.integers(0, 5, N)
    teff = np.array([8500, 6700, 5700, 4700, 3500.0])[code] + rng.normal(0, 250, N)
    logg, feh = rng.normal(4, 0.5, N), rng.normal(-0.2, 0.3, N)
    load = rng.normal(0, 40, (3, GRID))
    z = np.stack([(teff - 5500) / 2000, (logg - 4) / 0.5, feh / 0.3])
    flux = np.clip(np.round(500 + z.T @ load + rng.normal(0, 10, (N, GRID))), -32000, 32000).astype(np.int16)
    flux[:, 40:44] = 700  # a constant bin
    obsid = rng.permutation(10_000)[:N].astype(np.int64)
    shard = np.where(rng.random(N) < 0.3, "58000-A", "58001-B")
    stars = [f"gaia:{i}" for i in range(N)]
    for name in np.unique(shard):
        mine = np.flatnonzero(shard == name)
        table = pa.table(
            {
                "obsid": obsid[mine],
                "star_id": [stars[i] for i in mine],
                "flux": flux_column(flux[mine]),
                "n_masked": pa.array(np.zeros(len(mine)), pa.int32()),
            }
        ).cast(spectra_schema(GRID))
        write_parquet(table, folder / f"{name}.parquet")
    feh_known = np.where(rng.random(N) < 0.7, feh, np.nan)
    split = np.array(["train"] * 350 + ["val"] * 70 + ["test"] * 80)
    sample = pa.table(
        {
            "obsid": obsid,
            "star_id": stars,
            "class": [CLASSES[c] for c in code],
            "split": split,
            "fold": np.zeros(N, np.int8),
        }
    ).cast(SAMPLE)
    labels = pa.table(
        {
            "obsid": obsid,
            "shard": shard,
            "teff": teff,
            "logg": logg,
            "feh": pa.array(feh_known, mask=np.isnan(feh_known)),
            "mg_fe": pa.nulls(N, pa.float64()),
        }
    ).take(pa.array(rng.permutation(N)))
    arrays = {"flux": flux, "y": np.stack([teff, logg, feh_known], 1), "split": split, "code": code, "obsid": obsid}
    return sample, labels, lambda name: folder / f"{name}.parquet", arrays


def test_ridge_equals_scikit_learn(survey, tmp_path, monkeypatch):
    sample, labels, shard_path, arrays = survey
    monkeypatch.setattr(baselines, "_MAX_BLOCK", 50 * GRID)  # several blocks a shard
    settings = Ridge(kind="ridge", bin=BIN, alphas=[1.0, 30.0, 1000.0])
    manifest = train_baseline(settings, TASK, sample, labels, shard_path, tmp_path)
    rows = sample.filter(pa.compute.equal(sample["split"], "test"))
    table = predict_baseline(settings, TASK, tmp_path, rows, labels, shard_path, {"gaia:430"})
    assert table.schema == PREDICTION
    x, y, split = binned(arrays["flux"], BIN), arrays["y"], arrays["split"]
    test = np.flatnonzero(split == "test")
    test = test[np.argsort(arrays["obsid"][test])]
    assert table["obsid"].to_pylist() == np.repeat(arrays["obsid"][test], 3).tolist()
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
    assert set(table.filter(table["seen"])["star_id"].to_pylist()) == {"gaia:430"}
    error = np.abs(value[:, 1] - y[test, 1]) / table["sigma_raw"].to_numpy().reshape(-1, 3)[:, 1]
    assert 0.5 < (error < 1).mean() < 0.85  # sigma_raw is a residual scatter


def test_a_label_that_nobody_has_is_not_answered(survey, tmp_path):
    sample, labels, shard_path, _ = survey
    for settings in (Ridge(kind="ridge", bin=BIN), ClassMean(kind="class_mean")):
        train_baseline(settings, NAMED, sample, labels, shard_path, tmp_path)
        table = predict_baseline(settings, NAMED, tmp_path, sample, labels, shard_path, [])
        assert set(table["class_pred"].to_pylist()) == {None}  # the task does not ask for it
        status = dict(zip(table["label"].to_pylist(), table["status"].to_pylist(), strict=True))
        assert status == {"mg_fe": "not_answered", "feh": "ok"}
        none = table.filter(pa.compute.equal(table["label"], "mg_fe"))
        assert none["value"].null_count == none["sigma_raw"].null_count == len(none)


def test_class_mean_is_the_mean_of_the_class(survey, tmp_path):
    sample, labels, shard_path, arrays = survey
    settings = ClassMean(kind="class_mean")
    train_baseline(settings, TASK, sample, labels, shard_path, tmp_path)
    table = predict_baseline(settings, TASK, tmp_path, sample, labels, shard_path, pa.array(["gaia:1"]))
    teff = table.filter(pa.compute.equal(table["label"], "teff"))
    train = arrays["split"] == "train"
    for c, letter in enumerate(CLASSES):
        mine = teff.filter(pa.compute.equal(teff["class"], letter))
        true = arrays["y"][train & (arrays["code"] == c), 0].mean()
        assert mine["value"].to_pylist() == pytest.approx([true] * len(mine))
        assert mine["sigma_raw"][0].as_py() == pytest.approx(250, rel=0.35)


def test_the_same_sample_gives_the_same_bytes_in_any_order(survey, tmp_path):
    sample, labels, shard_path, _ = survey
    settings = Ridge(kind="ridge", bin=BIN)
    one = train_baseline(settings, TASK, sample, labels, shard_path, tmp_path / "a")
    mixed = labels.take(pa.array(np.random.default_rng(3).permutation(N)))
    assert train_baseline(settings, TASK, sample, mixed, shard_path, tmp_path / "b") == one
    assert (tmp_path / "a" / baselines.WEIGHTS).read_bytes() == (tmp_path / "b" / baselines.WEIGHTS).read_bytes()


def test_without_validation_rows_cross_validation_chooses(survey, tmp_path):
    sample, labels, shard_path, _ = survey
    few = sample.filter(pa.compute.not_equal(sample["split"], "val"))
    manifest = train_baseline(Ridge(kind="ridge", bin=BIN), TASK, few, labels, shard_path, tmp_path)
    assert manifest["labels"]["teff"]["alpha_chosen_on"] == "generalised cross-validation"
    table = predict_baseline(Ridge(kind="ridge", bin=BIN), TASK, tmp_path, few, labels, shard_path, [])
    assert table["sigma_raw"].null_count == 0


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

    from starglot.models.ridge import discriminant

    _, _, _, arrays = survey
    x, code = binned(arrays["flux"], BIN)[:, :9].astype(float), arrays["code"]
    moments = Moments([list(range(5))], x[0])
    moments.add(x, np.eye(5)[code])
    fit = solve(moments, Moments([list(range(5))], x[0]), 0, [1e-9])
    coefficient, intercept = discriminant(moments, 0, fit)
    told = np.argmax(x @ coefficient + intercept, axis=1)
    assert (told == LinearDiscriminantAnalysis().fit(x, code).predict(x)).mean() > 0.995


def test_what_is_wrong_is_said(survey, tmp_path):
    sample, labels, shard_path, _ = survey
    settings = Ridge(kind="ridge", bin=BIN)
    with pytest.raises(StarglotError, match="training split of this sample is empty"):
        train_baseline(settings, TASK, sample.slice(400), labels, shard_path, tmp_path)
    with pytest.raises(StarglotError, match="wider than the grid"):
        train_baseline(Ridge(kind="ridge", bin=100), TASK, sample, labels, shard_path, tmp_path)
    with pytest.raises(StarglotError, match="has no labels"):
        train_baseline(settings, TASK, sample, labels.slice(5), shard_path, tmp_path)
    with pytest.raises(StarglotError, match="cannot be read"):
        predict_baseline(settings, TASK, tmp_path / "none", sample, labels, shard_path, [])
    train_baseline(ClassMean(kind="class_mean"), TASK, sample, labels, shard_path, tmp_path)
    with pytest.raises(StarglotError, match="of a class_mean model"):
        predict_baseline(settings, TASK, tmp_path, sample, labels, shard_path, [])
