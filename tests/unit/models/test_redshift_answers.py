"""Redshifts as users get them: second-best, gap and warning bits from files, in a catalogue, and in predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_baseline_redshifts import WAVE, galaxies

import starglot
from starglot.commands.predict import predict as predict_files
from starglot.config.kinds.nearest import TemplateFit
from starglot.config.recipes import Recipe, Wavelength
from starglot.evaluation.calibration import calibrate, fitted_scales
from starglot.evaluation.class_probability import fit_probability
from starglot.inference.catalogue import OF_FILE, Part, answer_part
from starglot.inference.load import OF_REDSHIFT
from starglot.models.baselines.predict import predict
from starglot.models.baselines.template_fit import read_template_fit
from starglot.models.domain import DOMAIN, save_domain
from starglot.models.folder import describe_model
from starglot.models.redshifts import LITTLE_COVERAGE, NODATA, POORDATA, SMALL_DELTA
from starglot.samples.domain import domain_of_sample
from starglot.spectra.clean import clean
from starglot.spectra.raw import RawSpectrum
from starglot.tables import DOUBT, PREDICTION, SAMPLE, spectra_table, write_parquet
from starglot.training.baselines import train_baseline
from starglot.training.plain import fit_plain
from tasks import task_of

RECIPE = Recipe(wavelength=Wavelength(start=4000, stop=5999, step=1), normalisation="p99")
TASK = task_of("redshift", ["redshift"], source="sdss", balanced=False, sizes={"s": None})
SETTINGS = TemplateFit(kind="template_fit", bin=10, vectors=3)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table, pa.Table]:
    """A template fit that answers by itself, and its raw predictions of validation and test galaxies."""
    folder = tmp_path_factory.mktemp("galaxies")
    flux, z = galaxies(200, 1)
    n = len(flux)
    rows = [
        clean(RawSpectrum(WAVE, each, np.full(len(each), 2500.0), np.zeros(len(each), np.int64)), RECIPE)[0]
        for each in flux
    ]
    stars = [f"g{at}" for at in range(n)]
    made = spectra_table(np.arange(n), stars, np.stack(rows), np.zeros(n, np.int32))
    write_parquet(made, folder / "spectra.parquet", {"wavelength": RECIPE.wavelength.model_dump()})
    split = [("train", "train", "val", "test")[at % 4] for at in range(n)]
    sample = pa.table([np.arange(n), stars, [None] * n, split, np.zeros(n, np.int8)], schema=SAMPLE)
    labels = pa.table({"obsid": np.arange(n), "shard": ["spectra"] * n, "snr_r": np.full(n, 50.0), "redshift": z})
    out = folder / "models" / "redshift" / "fit" / "s"

    def shard_path(shard: str) -> Path:
        return folder / f"{shard}.parquet"

    train_baseline(fit_plain, SETTINGS, TASK, sample, labels, shard_path, out, folder / "state", {}, "code")
    domain, facts = domain_of_sample(TASK, sample, labels, shard_path)
    save_domain(domain, out / DOMAIN, facts)
    raw = [
        predict(
            lambda rows: read_template_fit(SETTINGS, TASK, out, rows, shard_path),
            TASK,
            sample.filter(pa.compute.equal(sample["split"], name)),
            labels,
            (),
        )
        for name in ("val", "test")
    ]
    about = {"name": "fit", "size": "s", "task": "redshift", "survey": "sdss", "release": "made up", "encoding": None}
    about |= {"question": TASK.model_dump(mode="json"), "model": SETTINGS.model_dump(mode="json")}
    describe_model(
        out, {**about, "recipe": RECIPE.model_dump(mode="json")}, fitted_scales(raw[0]), fit_probability(raw[0])
    )
    return out, *raw


def test_predictions_have_columns_of_doubt_which_calibration_leaves(built) -> None:
    _, val, test = built
    assert test.schema == pa.schema([*PREDICTION, *DOUBT])
    calibrated, _ = calibrate(val, test)
    assert calibrated.schema == test.schema and calibrated.select(DOUBT.names).equals(test.select(DOUBT.names))
    error = np.abs(test["value"].to_numpy() - test["truth"].to_numpy())
    sure = test["warning"].to_numpy() == 0
    assert sure.mean() > 0.5 and error[sure].max() < 0.01
    assert (np.abs(test["second"].to_numpy() - test["value"].to_numpy()) > 0.003).all()


def test_files_are_answered_with_the_bits_of_fit_and_data(built, tmp_path: Path, capsys) -> None:
    flux, z = galaxies(3, 7)
    error = np.full(len(WAVE), 0.02)
    noisy = 1 + 0.5 * np.random.default_rng(3).standard_normal(len(WAVE))
    given = {"good": (WAVE, flux[0], error), "noise": (WAVE, noisy, 25 * error)}
    given["short"] = tuple(each[:1700] for each in (WAVE, flux[1], error))
    paths = []
    for name, columns in given.items():
        paths.append(tmp_path / f"{name}.csv")
        pd.DataFrame(dict(zip(("wavelength", "flux", "error"), columns, strict=True))).to_csv(paths[-1], index=False)
    paths.append(tmp_path / "none.csv")
    paths[-1].write_text("wavelength,flux\n4000,\n")
    model = starglot.load(built[0])
    told = model.predict(paths)
    assert told.columns[-3:].tolist() == list(OF_REDSHIFT)
    assert told["value"][0] == pytest.approx(z[0], abs=0.003)
    assert [int(bits) & (LITTLE_COVERAGE | NODATA | POORDATA) for bits in told["warning"]] == [
        0,
        POORDATA,
        LITTLE_COVERAGE,
        NODATA,
    ]
    assert int(told["warning"][1]) & SMALL_DELTA and told["gap"][0] > 9 > told["gap"][1]
    wide = model.predict(paths, wide=True)
    assert wide["redshift_warning"].tolist() == told["warning"].tolist()
    predict_files(str(built[0]), [str(path) for path in paths[:2]], tmp_path / "out.csv")
    said = capsys.readouterr().out
    assert "POORDATA" in said and "+- 0.000\n" not in said and f"{told['value'][0]:.3f}"[:5] in said
    assert pd.read_csv(tmp_path / "out.csv")["second"].notna().all()


def test_a_catalogue_says_of_every_row_how_sure_it_is(built) -> None:
    model = starglot.load(built[0])
    flux, _ = galaxies(2, 7)
    rows = [
        clean(RawSpectrum(WAVE, each, np.ones(len(each)), np.zeros(len(each), np.int64)), RECIPE)[0] for each in flux
    ]
    known = pa.table({"number": [0, 1, 2], "file": ["a", "b", "c"], "spectrum": [""] * 3, "survey": ["sdss"] * 3})
    known = known.append_column("snr", pa.array([50.0, 50.0, None]))
    part = Part(
        known,
        OF_FILE,
        [None] * 3,
        np.array([50.0, 50.0, np.nan]),
        np.array([0.0, 0.3, 0.0]),
        [None, None, "no_good_pixel"],
        [np.stack(rows)],
    )
    table = answer_part(model, part)
    assert [bits & (LITTLE_COVERAGE | NODATA) for bits in table["redshift_warning"].to_pylist()] == [
        0,
        LITTLE_COVERAGE,
        NODATA,
    ]
    assert [gap is None for gap in table["redshift_gap"].to_pylist()] == [False, False, True]
