"""A survey's own pipeline as a model: a line to the labels is found among outliers, and nothing else is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from refusals import at, refused
from starglot.config.applied import catalogues
from starglot.config.checks.across_keys import cross_check
from starglot.config.kinds.pipeline import Pipeline
from starglot.config.load import merge
from starglot.config.root import Config
from starglot.evaluation.rows import judged
from starglot.inference.answering import open_model
from starglot.models.baselines.pipeline import fit_pipeline, read_pipeline
from starglot.models.baselines.predict import predict
from starglot.models.baselines.rows import rows_of
from starglot.plots.transfer.strategies import draw_strategies
from starglot.tables import SAMPLE
from tasks import task_of

N = 400
TASK = task_of("abundances", ["feh", "alpha_fe"], source="apogee", groups=None)


@pytest.fixture(scope="module")
def stars() -> tuple[pa.Table, pa.Table, pa.Table]:
    """Sample, true labels, and a catalogue in another order: truth = 0.1 + 0.8 x value, and every 20th is wild."""
    rng = np.random.default_rng(5)
    obsid, value = np.arange(N), rng.normal(-0.3, 0.4, N)
    feh = 0.1 + 0.8 * value + rng.normal(0, 0.02, N)
    split = np.array(["train", "train", "val", "test"])[obsid % 4]
    sample = pa.table(
        [obsid, [f"s{i}" for i in obsid], pa.nulls(N, pa.string()), split, np.zeros(N, np.int8)], SAMPLE.names
    )
    labels = pa.table({"obsid": obsid, "shard": ["1"] * N, "feh": feh, "alpha_fe": pa.nulls(N, pa.float64())})
    measured = np.where(obsid % 20 == 5, 3.0, value)
    known = pa.array(measured, mask=obsid == 7)
    catalog = {"obsid": obsid, "feh": known, "feh_err": np.full(N, 0.05), "alpha_fe": np.zeros(N)}
    return sample.cast(SAMPLE), labels, pa.table(catalog).take(rng.permutation(N))


def answered(stars: tuple[pa.Table, ...], **given: Any) -> tuple[dict[str, Any], pa.Table]:
    sample, labels, catalog = stars
    fitted = fit_pipeline(Pipeline(kind="pipeline", **given), TASK, sample, labels, catalog)
    table = predict(lambda rows: read_pipeline(TASK, fitted, rows, catalog), TASK, sample, labels, ())
    return fitted, table


def test_a_line_is_found_among_outliers(stars):
    fitted, table = answered(stars)
    feh = fitted["labels"]["feh"]
    assert (feh["slope"], feh["intercept"]) == pytest.approx((0.8, 0.1), abs=0.01)
    assert feh["train"] == 200 and fitted["counts"] == {"train": 200, "val": 100}
    assert feh["scatter"] == pytest.approx(0.02, abs=0.01)
    rows = table.to_pandas().query("label == 'feh'").set_index("obsid")
    value = dict(zip(*(stars[2][name].to_pylist() for name in ("obsid", "feh")), strict=True))
    assert rows.loc[9, "value"] == pytest.approx(feh["intercept"] + feh["slope"] * value[9])
    assert rows.loc[9, "sigma_raw"] == pytest.approx(0.05 * feh["slope"])
    assert rows.loc[7, "status"] == "not_answered" and np.isnan(rows.loc[7, "value"])


def test_a_label_that_nobody_knows_has_no_line_and_no_answer(stars):
    fitted, table = answered(stars)
    assert fitted["labels"]["alpha_fe"]["slope"] is None
    assert set(table.to_pandas().query("label == 'alpha_fe'")["status"]) == {"not_answered"}


def test_as_it_stands_the_catalogue_is_repeated(stars):
    _, table = answered(stars, calibrated=False)
    rows = table.to_pandas().query("label == 'feh' and status == 'ok'").set_index("obsid")["value"]
    own = stars[2].to_pandas().set_index("obsid")["feh"].reindex(rows.index)
    assert rows.to_numpy() == pytest.approx(own.to_numpy())


def test_a_catalogue_without_the_label_is_refused(stars):
    sample, labels, catalog = stars
    with refused("alpha_fe", allowed="feh"):
        rows = rows_of(TASK, sample, labels)
        read_pipeline(TASK, answered(stars)[0], rows, catalog.drop_columns("alpha_fe"))


def test_it_answers_no_spectra(tmp_path):
    with refused(where=tmp_path):
        open_model(tmp_path, {"model": {"kind": "pipeline"}, "question": TASK.model_dump()})


def test_its_panel_stands_among_the_others(stars, tmp_path):
    _, table = answered(stars)
    models = {name: {label: judged(table, label) for label in TASK.labels} for name in ("desi-sp", "lora")}
    draw_strategies(models, {"lora": "lora"}, tmp_path / "some", "Mock")
    draw_strategies({}, {}, tmp_path / "none", "Mock")
    assert (tmp_path / "some.svg").stat().st_size > 2 * (tmp_path / "none.svg").stat().st_size


def test_where_it_cannot_stand_is_said(project: Path):
    raw: dict[str, Any] = {}
    for name in ("config", "demo", "transfer"):
        raw = merge(raw, yaml.safe_load((project / f"config/{name}.yaml").read_text()))

    def faults(over: dict[str, Any]) -> list[str]:
        return cross_check(Config.model_validate(merge(raw, over)))

    assert faults({}) == []
    config = Config.model_validate(merge(raw, {"catalogue": {"models": None}}))
    assert {one.model for one in catalogues(config)} == set(config.run.models) - {"desi-sp"}
    own = {"tasks": {"desi_blue": {"sample": {"source": "desi"}}}}
    assert at(faults(own), "models.desi-sp", "desi")
    more = {
        "tasks": {"desi_blue": {"question": {"labels": ["feh", "mg_fe"]}}},
        "run": {"models": ["ridge", "desi-sp"]},
    }
    assert at(faults(more), "models.desi-sp", "mg_fe", "alpha_fe")
    assert at(faults({"catalogue": {"models": ["desi-sp"]}}), "catalogue.models", "desi-sp")
