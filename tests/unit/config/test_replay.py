"""Replay: which examples of a training come from an earlier task, what they are good for, and what has none."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from baseline_spectra import GRID, TASK, linear_survey
from torch.utils.data import Dataset

from refusals import at
from starglot.config.bases.random import RandomBase
from starglot.config.checks.across_keys import cross_check
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.load import merge, read_config
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.root import Config
from starglot.training.patches import Spectra, train_patches
from starglot.training.random_base import make_random_base
from starglot.training.replay import Replayed


class Numbered(Dataset[dict[str, Any]]):
    """Examples that say whose they are and which."""

    def __init__(self, name: str, length: int):
        self.name, self.length = name, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"of": self.name, "number": number}


def test_a_share_of_the_examples_is_the_earlier_tasks() -> None:
    both = Replayed(Numbered("own", 4000), Numbered("earlier", 4000), 0.3, seed=5)
    seen = [both[number] for number in range(len(both))]
    earlier = [one["number"] for one in seen if one["of"] == "earlier"]
    own = [one["number"] for one in seen if one["of"] == "own"]
    # Binomial: 4000 x .3 within four standard deviations of 29.
    assert abs(len(earlier) - 1200) < 116
    assert earlier == list(range(len(earlier))) and own == list(range(len(own))), "none is left out, none comes twice"
    again = Replayed(Numbered("own", 4000), Numbered("earlier", 4000), 0.3, seed=5)
    other = Replayed(Numbered("own", 4000), Numbered("earlier", 4000), 0.3, seed=6)
    assert (again.is_earlier == both.is_earlier).all() and (other.is_earlier != both.is_earlier).any()


@pytest.mark.parametrize(("share", "of"), [(0.0, "own"), (1.0, "earlier")])
def test_none_and_all(share, of) -> None:
    both = Replayed(Numbered("own", 50), Numbered("earlier", 50), share, seed=0)
    assert [both[number] for number in range(50)] == [{"of": of, "number": number} for number in range(50)]


# ---------------------------------------------------------------- training

WAVE = Wavelength.model_validate({"start": 4000.0, "stop": 4000.0 + GRID - 1, "step": 1.0})
ENCODING = Patches.model_validate({"form": "patches", "width": 16, "coarse": 4, "directions": 8, "channels": "both"})


@pytest.mark.long
def test_what_was_learnt_before_is_not_forgotten(tmp_path: Path) -> None:
    """The survey's Teff is one number for all; what a first task said of it stays where its spectra come again."""
    survey = linear_survey(tmp_path)
    base = tmp_path / "base"
    make_random_base(RandomBase(kind="random", hidden=64, layers=2, heads=2), base)
    physics = Spectra(survey.sample, survey.labels, survey.shard_path, {"sample": "physics"})
    at_teff = survey.labels.column_names.index("teff")
    same = survey.labels.set_column(at_teff, "teff", pa.array(np.full(len(survey.labels), 5500.0)))
    surveys = Spectra(survey.sample, same, survey.shard_path, {"sample": "survey"})

    def train(name: str, spectra: Spectra, start: Path | None, replay: float, epochs: float) -> Path:
        training = {"epochs": epochs, "batch": 16, "accumulate": 1, "gpus": 0, "replay": replay, "checkpoints": 2}
        lora = {"rank": 4, "alpha": 8, "dropout": 0.0}
        how = PatchLlm.model_validate(
            {"kind": "patch_llm", "base": "r", "encoding": "p", "lora": lora, "training": training, "seed": 1}
        )
        out, earlier = tmp_path / name, physics if replay else None
        about = (how, TASK, ENCODING, WAVE, "s", str(base), start, spectra, out, tmp_path / f"s-{name}")
        manifest = train_patches(*about, {"n": name}, earlier=earlier)
        assert manifest.get("replayed") == (physics.inputs if replay else None)
        return out

    first = train("first", physics, None, 0.0, 8.0)
    spread = {share: _spread(train(f"r{share}", surveys, first, share, 4.0), survey, base) for share in (0.0, 0.5)}
    assert spread[0.5] > 3 * spread[0.0], spread


def _spread(folder: Path, survey: Any, base: Path) -> float:
    """Scatter of the predicted Teff over test spectra."""
    from starglot.inference.patches import predict_patches

    asked = PatchLlm.model_validate(
        {"kind": "patch_llm", "base": "r", "encoding": "p", "lora": {"rank": 4, "alpha": 8, "dropout": 0.0}}
    )
    spectra = (survey.of("test"), survey.labels, survey.shard_path, {})
    table = predict_patches(asked, TASK, ENCODING, WAVE, base, folder, *spectra, [], folder / "answers").to_pandas()
    return float(table.loc[table["label"] == "teff", "value"].std())


# ---------------------------------------------------------------- configuration


@pytest.fixture(scope="module")
def raw(project: Path) -> dict[str, Any]:
    """The benchmark's configuration, which replays, as data."""
    overlays = (project / f"{name}.yaml" for name in ("config/demo", "benchmarks/own_line"))
    return read_config(project / "config/config.yaml", *overlays).model_dump(by_alias=True)


def faults(raw: dict[str, Any], over: dict[str, Any]) -> list[str]:
    return cross_check(Config.model_validate(merge(copy.deepcopy(raw), over)))


def test_what_cannot_be_replayed_is_a_fault(raw: dict[str, Any]) -> None:
    assert faults(raw, {}) == []
    alone = faults(raw, {"models": {"llm-lines": {"init": None}}})
    assert at(alone, "models.llm-lines.by_size.all.replay", "init")
    other = faults(raw, {"tasks": {"abundances": {"question": {"labels": ["mg_fe", "ca_fe"]}}}})
    assert at(other, "models.llm-lines", "abundances", "all", "synthetic_abundances")


def test_the_mocks_grid_needs_a_place(raw: dict[str, Any]) -> None:
    for survey in (None, {**raw["surveys"]["synthetic"], "grids": ["a.npz", "b.npz"]}):
        found = faults({**raw, "surveys": {**raw["surveys"], "synthetic": survey}}, {})
        assert at(found, "mock.synthetic", "surveys.synthetic")
    elsewhere = faults(raw, {"surveys": {"synthetic": {"spectra": "/data/grids"}}})
    assert at(elsewhere, "mock", "surveys.synthetic.grids.0", "surveys.synthetic.spectra")
