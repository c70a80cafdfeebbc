"""Which catalogues are made, what their jobs open, and how a catalogue's repeats are paired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from refusals import refused
from starglot.config.applied import Applied, answering_gpus, catalogues, opened_models, spectra_to_select
from starglot.config.load import read_config
from starglot.config.picked import picked
from starglot.config.queries import wanted_spectra
from starglot.config.root import Config
from starglot.plots.catalogue import repeated
from starglot.samples.select import select

ROOT = Path(__file__).parents[3]


def configured(tmp_path: Path, **catalogue: Any) -> Config:
    overlay = tmp_path / "over.yaml"
    overlay.write_text(yaml.safe_dump({"catalogue": {"models": None, **catalogue}}))
    return read_config(ROOT / "config/config.yaml", ROOT / "tests/workflow/mini.yaml", overlay)


def test_without_a_word_every_model_of_the_run_is_applied_at_the_largest_size(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert catalogues(config) == [
        Applied(task, model, size, "lamost")
        for task, size in (("atmosphere", "mini"), ("abundances", "all"))
        for model in config.run.models
    ]


def test_an_overlay_names_tasks_models_and_sizes(tmp_path: Path) -> None:
    config = configured(tmp_path, tasks=["atmosphere"], models=["cnn"], sizes=["small", "mini", "all"])
    assert catalogues(config) == [Applied("atmosphere", "cnn", size, "lamost") for size in ("small", "mini")]


def test_everything_selects_every_labelled_spectrum(tmp_path: Path) -> None:
    few, every = configured(tmp_path), configured(tmp_path, everything=True)
    assert spectra_to_select(few, "lamost") == wanted_spectra(few, "lamost")
    *samples, last = spectra_to_select(every, "lamost")
    assert samples == spectra_to_select(few, "lamost")
    letters, n = ["A", "F", "G", "K", "M", None], 60
    rows = {
        "obsid": list(range(n)),
        "star_id": [f"gaia:{at}" for at in range(n)],
        "class": [letters[at % 6] for at in range(n)],
        "shard": ["59000-A"] * n,
        "snr_r": [5.0 if at % 7 else 1.0 for at in range(n)],
        "snr_i": [5.0] * n,
        **{label: [4.0 if at % 5 else None for at in range(n)] for label in ("teff", "logg", "feh")},
    }
    chosen = select(pa.table(rows), [last], set(), {"r": 2.0, "i": 2.0}, 1.2, 1)
    expected = [at for at in range(n) if letters[at % 6] and at % 7 and at % 5]
    assert chosen["obsid"].to_pylist() == expected


@pytest.mark.parametrize(
    ("key", "name", "near"),
    [("models", "rigde", "ridge"), ("tasks", "atmosfere", "atmosphere"), ("sizes", "smal", "small"),
     ("surveys", "galah", "lamost")],
)  # fmt: skip
def test_a_name_that_is_none_is_refused_with_the_nearest(tmp_path: Path, key: str, name: str, near: str) -> None:
    with refused(f"catalogue.{key}", name, near):
        configured(tmp_path, **{key: [name]})


def test_an_ensemble_is_opened_with_its_members(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert opened_models(config, "ensemble") == ["ensemble", "ridge", "cnn"]
    told = {"task": "atmosphere", "model": "ensemble", "size": "mini"}
    one, applied = picked(config, told), picked(config, {**told, "survey": "lamost"})
    assert one["KINDS"] == ("ensemble",) and applied["KINDS"] == ("cnn", "ensemble", "ridge")
    assert applied["OPENERS"] == ("ensemble", "network", "plain")


def test_a_job_has_a_gpu_where_its_model_or_a_member_needs_one(tmp_path: Path) -> None:
    config, full = configured(tmp_path), read_config(ROOT / "config/config.yaml")
    asked = {name: answering_gpus(config, name, "mini") for name in ("llm-mini", "ridge", "ensemble", "resnet50")}
    assert asked == {"llm-mini": 0, "ridge": 0, "ensemble": 0, "resnet50": 1}
    asked = {name: answering_gpus(full, name, "1e5") for name in ("llm-packed", "ridge", "ensemble")}
    assert asked == {"llm-packed": 1, "ridge": 0, "ensemble": 1}


def test_consecutive_spectra_of_a_star_are_pairs() -> None:
    star = np.array(["b", "a", "", "b", "a", "c", "", "b"])
    obsid = np.array([5, 9, 1, 2, 3, 4, 6, 7])
    first, second = repeated(star, obsid)
    assert sorted(zip(obsid[first].tolist(), obsid[second].tolist(), strict=True)) == [(2, 5), (3, 9), (5, 7)]
