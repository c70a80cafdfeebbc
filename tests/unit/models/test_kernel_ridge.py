"""Kernel ridge regression against scikit-learn, on spectra that are no linear function of their labels."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from baseline_spectra import NAMED, Survey
from scipy.special import logsumexp
from sklearn.kernel_ridge import KernelRidge as SklearnKernelRidge
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from starglot.config.kinds.baselines import KernelRidge, Ridge
from starglot.config.recipes import Recipe
from starglot.labels import CLASSES
from starglot.models.baselines.files import WEIGHTS, load_any
from starglot.models.baselines.kernel_ridge import Components, read_kernel_ridge
from starglot.models.baselines.predict import predict
from starglot.models.baselines.ridge import read_ridge
from starglot.models.projector import statistics_of
from starglot.spectra.pixels import pixels
from starglot.spectra.shard import spectra_metadata
from starglot.tables import SAMPLE, spectra_table, write_parquet
from starglot.training.baselines import train_baseline
from starglot.training.plain import fit_plain
from tasks import task_of

TASK = task_of("atmosphere", ["teff", "logg", "feh"], source="lamost", balanced=True, sizes={"s": 4})
N, STOP = 420, 4200.0
RECIPE = Recipe(wavelength={"start": 3800.0, "stop": STOP, "step": 1.0})
READ = {"kernel_ridge": read_kernel_ridge, "ridge": read_ridge}


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Survey:
    """Lines whose depths are products of labels; [Fe/H] is missing for a third, [Mg/Fe] for all."""
    folder, rng = tmp_path_factory.mktemp("curved"), np.random.default_rng(4)
    code = rng.integers(0, 5, N)
    teff = np.array([8500, 6700, 5700, 4700, 3500.0])[code] + rng.normal(0, 250, N)
    logg, feh = rng.normal(4, 0.5, N), rng.normal(-0.2, 0.3, N)
    wave = np.arange(3800.0, STOP + 1)
    hot = np.exp(-(((teff - 5500) / 1500) ** 2))
    depth = [0.25 * hot, 0.3 * hot * 10 ** (0.7 * feh), 0.2 * 10 ** (0.3 * (logg - 4)) * (1.2 - hot), 0.2 * 10**feh]
    lines = np.stack([np.exp(-0.5 * ((wave - at) / 6) ** 2) for at in (3850, 3950, 4050, 4150)])
    slope = 1 + 0.2 * (teff[:, None] - 5500) / 3000 * (wave - 4000) / 200
    flux = 800 * slope * (1 - np.stack(depth, 1).clip(0, 0.9) @ lines) + rng.normal(0, 6, (N, len(wave)))
    flux = flux.round().astype(np.int16)
    flux[5, 100:160] = np.linspace(700, 720, 60).round()  # a gap that cleaning has crossed
    obsid, stars = rng.permutation(10_000)[:N].astype(np.int64), [f"gaia:{i}" for i in range(N)]
    shard = np.where(rng.random(N) < 0.4, "58000-A", "58001-B")
    for name in np.unique(shard):
        mine = np.flatnonzero(shard == name)
        table = spectra_table(obsid[mine], [stars[i] for i in mine], flux[mine], np.zeros(len(mine), np.int32))
        write_parquet(table, folder / f"{name}.parquet", metadata=spectra_metadata(RECIPE))
    known = np.where(rng.random(N) < 0.67, feh, np.nan)
    split = np.array(["train"] * 270 + ["val"] * 70 + ["test"] * 80)
    letters = [CLASSES[c] for c in code]
    sample = {"obsid": obsid, "star_id": stars, "class": letters, "split": split, "fold": np.zeros(N, np.int8)}
    labels = {"obsid": obsid, "shard": shard, "teff": teff, "logg": logg}
    labels |= {"feh": pa.array(known, mask=np.isnan(known)), "mg_fe": pa.nulls(N, pa.float64())}
    y = np.stack([teff, logg, known], 1)
    return Survey(pa.table(sample).cast(SAMPLE), pa.table(labels), folder, flux, y, split, code, obsid)


def trained(settings, task, survey: Survey, out: Path, **changed):
    sample, labels = changed.get("sample", survey.sample), changed.get("labels", survey.labels)
    inputs = {"test": str(out)}
    return train_baseline(
        fit_plain, settings, task, sample, labels, survey.shard_path, out, out / "s", inputs, "code"
    )


def values(settings, task, survey: Survey, out: Path, rows: pa.Table) -> pa.Table:
    def read(these):
        return READ[settings.kind](settings, task, out, these, survey.shard_path)

    return predict(read, task, rows, survey.labels, ())


@pytest.mark.parametrize("kernel", ["rbf", "laplace"])
def test_it_is_scikit_learns(survey, tmp_path, kernel):
    settings = KernelRidge(
        kind="kernel_ridge", components=8, copies=0, kernel=kernel, widths=[1.0, 3.0], alphas=[1e-3, 0.1]
    )
    manifest = trained(settings, TASK, survey, tmp_path)
    table = values(settings, TASK, survey, tmp_path, survey.of("test"))
    value = table["value"].to_numpy().reshape(-1, 3)

    fine, coarse = pixels(survey.flux, 10, np.arange(3800.0, STOP + 1))
    order = np.argsort(survey.obsid)
    train, val, test = (order[survey.split[order] == part] for part in ("train", "val", "test"))
    found = statistics_of(fine[train], coarse[train], 8)
    scores = np.nan_to_num((fine - found.mean) / found.noise) @ found.directions.T
    scores *= (8 / (found.variances + 8)) ** 0.25
    x = np.hstack([scores, (coarse - found.coarse_mean) / found.coarse_scatter])
    weights, _ = load_any(tmp_path)
    assert weights["landmark"] == pytest.approx(x[train], rel=1e-3, abs=1e-3)
    unit = weights["width"][0] / manifest["labels"]["teff"]["width"]
    apart = np.linalg.norm(x[train][:, None] - x[train][None], axis=2)
    assert unit == pytest.approx(np.median(apart[np.triu_indices(len(train), 1)]), rel=1e-3)
    for j, name in enumerate(TASK.labels):
        known = train[np.isfinite(survey.y[train, j])]
        best = np.inf
        for width in settings.widths:
            among, to_val, to_test = (_kernel(kernel, x[rows], x[known], width * unit) for rows in (known, val, test))
            for alpha in settings.alphas:
                middle = _middle(among, survey.y[known, j], alpha)
                fit = SklearnKernelRidge(alpha=alpha, kernel="precomputed").fit(among, survey.y[known, j] - middle)
                error = np.nansum((fit.predict(to_val) + middle - survey.y[val, j]) ** 2)
                if error < best:
                    best, chosen, expected = error, (width, alpha), fit.predict(to_test) + middle
        facts = manifest["labels"][name]
        assert (facts["width"], facts["alpha"], facts["chosen_on"]) == (*chosen, "validation")
        assert value[:, j] == pytest.approx(expected, rel=2e-3, abs=2e-3)
    at_landmarks = _kernel(kernel, x[test], weights["landmark"], weights["class_width"][0])
    scores = np.sort(at_landmarks @ weights["class_dual"] + weights["class_intercept"], axis=1)
    expected = scores[:, -1] - logsumexp(scores[:, :-1], axis=1)
    assert table["class_log_odds"].to_numpy()[::3] == pytest.approx(expected, rel=0.02, abs=0.02 * expected.max())


def _kernel(name: str, a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    if name == "rbf":
        return rbf_kernel(a, b, gamma=1 / (2 * width**2))
    return np.exp(-euclidean_distances(a, b) / width)


def _middle(gram: np.ndarray, y: np.ndarray, alpha: float) -> float:
    """The free constant beside the kernels: generalised least squares under gram + alpha."""
    solved = np.linalg.solve(gram + alpha * np.eye(len(y)), np.column_stack([y, np.ones_like(y)]))
    return float(solved[:, 0].sum() / solved[:, 1].sum())


def rmse(table: pa.Table, survey: Survey, label: str) -> float:
    rows = table.filter(pa.compute.equal(table["label"], label)).to_pandas().dropna(subset=["truth"])
    return float(np.sqrt(np.mean((rows["value"] - rows["truth"]) ** 2)))


def test_it_reads_what_ridge_cannot(survey, tmp_path):
    kernel, linear = KernelRidge(kind="kernel_ridge", components=12, copies=0), Ridge(kind="ridge", bin=4)
    tables = {}
    for settings in (kernel, linear):
        trained(settings, TASK, survey, tmp_path / settings.kind)
        tables[settings.kind] = values(settings, TASK, survey, tmp_path / settings.kind, survey.of("test"))
    for label in ("logg", "feh"):  # Teff is linear in the slope
        ours, theirs = (rmse(tables[kind], survey, label) for kind in ("kernel_ridge", "ridge"))
        assert ours < 0.8 * theirs, label
    table = tables["kernel_ridge"]
    right = np.array(table["class_pred"].to_pylist()) == np.array(table["class"].to_pylist())
    assert right.mean() > 0.9
    sigma = table.filter(pa.compute.equal(table["label"], "logg")).to_pandas()
    assert 0.5 < (np.abs(sigma["value"] - sigma["truth"]) < sigma["sigma_raw"]).mean() < 0.9


def test_landmarks_bound_the_kernels_and_lose_little(survey, tmp_path, caplog):
    few = KernelRidge(kind="kernel_ridge", components=12, copies=0, landmarks=90)
    with caplog.at_level(logging.INFO):
        manifest = trained(few, TASK, survey, tmp_path / "few")
    assert manifest["labels"]["teff"]["landmarks"] == 90
    assert any("90" in each.message and "270" in each.message for each in caplog.records)
    weights, _ = load_any(tmp_path / "few")
    assert weights["landmark"].shape[0] == weights["dual"].shape[0] == 90
    every = KernelRidge(kind="kernel_ridge", components=12, copies=0)
    trained(every, TASK, survey, tmp_path / "every")
    of_few, of_every = (
        values(settings, TASK, survey, tmp_path / name, survey.of("test"))
        for settings, name in ((few, "few"), (every, "every"))
    )
    for label in TASK.labels:
        assert rmse(of_few, survey, label) < 1.3 * rmse(of_every, survey, label)


def test_copies_make_it_robust_to_velocities(survey, tmp_path):
    """Test spectra at 300 km/s: a model that was shown shifted copies loses less."""
    moved = np.roll(survey.flux, 4, axis=1)
    shifted = Survey(survey.sample, survey.labels, tmp_path, moved, survey.y, survey.split, survey.code, survey.obsid)
    for name in survey.labels["shard"].unique().to_pylist():
        table = pa.parquet.read_table(survey.shard_path(name))
        at = [survey.obsid.tolist().index(obsid) for obsid in table["obsid"].to_pylist()]
        table = spectra_table(table["obsid"], table["star_id"], moved[at], table["n_masked"])
        write_parquet(table, shifted.shard_path(name), metadata=spectra_metadata(RECIPE))
    errors = {}
    for copies in (0, 3):
        augment = {"velocity": 300.0, "noise": 0.0, "tilt": 0.0}
        settings = KernelRidge(kind="kernel_ridge", components=12, copies=copies, augment=augment)
        trained(settings, TASK, survey, tmp_path / str(copies))
        errors[copies] = rmse(
            values(settings, TASK, shifted, tmp_path / str(copies), survey.of("test")), survey, "feh"
        )
    assert errors[3] < 0.8 * errors[0]


def test_the_same_sample_gives_the_same_bytes_in_any_order(survey, tmp_path):
    settings = KernelRidge(kind="kernel_ridge", components=6, widths=[2.0], copies=1, landmarks=100)
    trained(settings, TASK, survey, tmp_path / "a")
    order = pa.array(np.random.default_rng(3).permutation(N))
    trained(
        settings, TASK, survey, tmp_path / "b", sample=survey.sample.take(order), labels=survey.labels.take(order)
    )
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()


def test_a_label_that_nobody_has_is_not_answered(survey, tmp_path):
    settings = KernelRidge(kind="kernel_ridge", components=6, copies=0, widths=[2.0])
    trained(settings, NAMED, survey, tmp_path)
    table = values(settings, NAMED, survey, tmp_path, survey.sample)
    status = dict(zip(table["label"].to_pylist(), table["status"].to_pylist(), strict=True))
    assert status == {"mg_fe": "not_answered", "feh": "ok"}


def test_without_validation_rows_cross_validation_chooses(survey, tmp_path):
    settings = KernelRidge(kind="kernel_ridge", components=6, copies=0, widths=[1.0, 3.0])
    few = survey.sample.filter(pa.compute.not_equal(survey.sample["split"], "val"))
    manifest = trained(settings, TASK, survey, tmp_path, sample=few)
    assert manifest["labels"]["teff"]["chosen_on"] == "generalised cross-validation"
    assert values(settings, TASK, survey, tmp_path, few)["sigma_raw"].null_count == 0


def test_a_missing_pixel_counts_as_its_mean():
    one = Components(np.full(4, 2.0), np.ones(4), np.eye(4)[:2], np.zeros(2), np.ones(2))
    assert one.of(np.array([[np.nan, 3.0, 9.0, 9.0]]), np.array([[0.5, -1.0]])).tolist() == [[0.0, 1.0, 0.5, -1.0]]
