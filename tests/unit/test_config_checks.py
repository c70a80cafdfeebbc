"""Rules that span several keys: each is broken once, and says so with the key to change."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from starglot.config.checks import cross_check
from starglot.config.load import read_config
from starglot.config.models import Config


@pytest.fixture(scope="module")
def paper(project: Path) -> Config:
    return read_config(project / "config/config.yaml")


@pytest.fixture(scope="module")
def demo(project: Path) -> Config:
    return read_config(project / "config/config.yaml", project / "config/demo.yaml")


def faults(config: Config, **changes: Any) -> list[str]:
    raw = copy.deepcopy(config.model_dump(by_alias=True))
    for path, value in changes.items():
        *above, last = path.split("__")
        holder = raw
        for part in above:
            holder = holder[part]
        holder[last] = value
    return cross_check(Config.model_validate(raw))


CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "demo",
        {"encodings__patches__width": 5000},
        "encodings.patches.width: 5000 is more than the 4901 values of recipes.paper.wavelength",
    ),
    ("demo", {"encodings__patches__stride": 200}, "encodings.patches.stride: 200 is more than the width, 140"),
    (
        "demo",
        {"models__llm-patches__encoding": "demo"},
        "models.llm-patches.encoding: 'demo' has form packed; a kind: patch_llm reads patch tokens",
    ),
    (
        "demo",
        {"models__llm-demo__encoding": "patches"},
        "models.llm-demo.encoding: 'patches' has form patches; patch tokens need kind: patch_llm",
    ),
    (
        "demo",
        {"models__llm-patches__base": "tiny"},
        "models.llm-patches.base: 'tiny' was pre-trained on flux as text (encoding 'demo')",
    ),
    ("demo", {"models__llm-demo__base": "random"}, "models.llm-demo.base: 'random' is of kind random"),
    (
        "demo",
        {"models__llm-patches__training__deepspeed": True},
        "models.llm-patches.training.deepspeed: ",
    ),
    ("demo", {"bases__random__heads": 7}, "bases.random: hidden (128) must be a multiple of heads (7)"),
    ("demo", {"models__llm-patches__lora__rank": 500}, "models.llm-patches.lora.rank: 500 is out of range 1-128"),
    (
        "paper",
        {"recipes__paper__wavelength__stop": 9200.0},
        "recipes.paper.wavelength: 3800-9200 A is not covered by the release (3700-9099 A",
    ),
    (
        "paper",
        {"recipes__paper__wavelength__stop": 3000.0},
        "recipes.paper.wavelength: stop (3000) must be above start (3800)",
    ),
    (
        "paper",
        {"tasks__atmosphere__sample__view": "lamots/paper"},
        "tasks.atmosphere.sample.view: unknown name 'lamots'",
    ),
    (
        "paper",
        {"tasks__atmosphere__sample__view": "apogee/paper"},
        "tasks.atmosphere.sample.view: unknown name 'apogee'",
    ),
    (
        "paper",
        {"tasks__atmosphere__sample__view": "lamost/papre"},
        "tasks.atmosphere.sample.view: unknown name 'papre'",
    ),
    ("paper", {"tasks__atmosphere__sample__view": "lamost"}, "tasks.atmosphere.sample.view: unknown name ''"),
    (
        "paper",
        {"recipes__paper__wavelength__log": True},
        "recipes.paper.wavelength: a logarithmic grid needs its size",
    ),
    (
        "paper",
        {"recipes__paper__wavelength__size": 9},
        "recipes.paper.wavelength: size 9 is not what start, stop and",
    ),
    (
        "paper",
        {"recipes__paper__wavelength__step": 3.0},
        "recipes.paper.wavelength: step 3 does not divide 3800-8700",
    ),
    ("paper", {"split__test": 0.3}, "split: train + val + test must be 1, they are 1.1"),
    (
        "paper",
        {"tasks__atmosphere__sample__sizes__1e5": 4_000_000},
        "tasks.atmosphere.sample.sizes.1e5: asks for 800000 of class A, the release holds 432474",
    ),
    (
        "paper",
        {"tasks__atmosphere__sample__sizes__1e5": 4},
        "tasks.atmosphere.sample.sizes.1e5: 4 cannot be balanced over 5 groups",
    ),
    (
        "paper",
        {"tasks__atmosphere__sample__sizes__1e5": -4},
        "tasks.atmosphere.sample.sizes.1e5: -4 is not a number of spectra",
    ),
    (
        "paper",
        {"tasks__atmosphere__question__labels": ["teff", "log_g"]},
        "tasks.atmosphere.question.labels: unknown name 'log_g'; did you mean 'logg'?",
    ),
    ("paper", {"models__ridge.s1": {"kind": "ridge"}}, "models.ridge.s1: this is the name of a model derived from"),
    (
        "paper",
        {"tasks__atmosphere__sample__sizes__1e5.f3": 10},
        "tasks.atmosphere.sample.sizes.1e5.f3: endings in .s, .f or .x",
    ),
    (
        "paper",
        {"scaling__tasks": ["atmosfere"]},
        "scaling.tasks: unknown name 'atmosfere'; did you mean 'atmosphere'",
    ),
    ("paper", {"scaling__sizes": ["1e6"]}, "scaling.sizes (task 'atmosphere'): unknown name '1e6'; did you mean"),
    ("paper", {"scaling__test_size": "all"}, "scaling.test_size (task 'atmosphere'): unknown name 'all'"),
    ("paper", {"scaling__models": ["ridgee"]}, "scaling.models: unknown name 'ridgee'; did you mean 'ridge'?"),
    ("paper", {"scaling__seeds": [1, 1]}, "scaling.seeds: one is named twice"),
    ("paper", {"scaling__passes": [0.3333]}, "scaling.passes: 0.3333 has more than three decimals"),
    (
        "paper",
        {"tasks__atmosphere__question__labels": ["teff", "mg_fe"]},
        "tasks.atmosphere.question.labels: 'mg_fe' is not learnt from lamost",
    ),
    (
        "paper",
        {"tasks__atmosphere__question__labels": ["teff", "teff"]},
        "tasks.atmosphere.question.labels: a label is named twice",
    ),
    (
        "paper",
        {"tasks__abundances__question__labels": ["teff"]},
        "tasks.abundances.question.labels: 'teff' is not learnt from apogee",
    ),
    (
        "paper",
        {"tasks__atmosphere__question__decimals": {"logg": 9}},
        "tasks.atmosphere.question.decimals.logg: 9 is out of range 0-6",
    ),
    (
        "paper",
        {"tasks__atmosphere__question__decimals": {"loggg": 2}},
        "tasks.atmosphere.question.decimals: unknown name 'loggg'; did you mean 'logg'?",
    ),
    (
        "paper",
        {"encodings__paper__bin": 500, "recipes__paper__wavelength__stop": 4000.0},
        "encodings.paper.bin: 500 is more than the 201 values",
    ),
    (
        "paper",
        {"models__llm-paper__encoding": "papper"},
        "models.llm-paper.encoding: unknown name 'papper'; did you mean 'paper'?",
    ),
    ("paper", {"models__llm-paper__init__size": "1e6"}, "models.llm-paper.init.size: unknown name '1e6'"),
    (
        "paper",
        {"models__llm-paper__init__model": "llm-packd"},
        "models.llm-paper.init.model: unknown name 'llm-packd'; did you mean 'llm-packed'?",
    ),
    (
        "paper",
        {
            "models__llm-packed__init": {"task": "abundances", "size": "all", "model": "llm-paper"},
            "models__llm-paper__init": {"task": "atmosphere", "size": "1e5", "model": "llm-packed"},
        },
        "models.llm-packed.init: at task 'atmosphere' it starts, over other models, from itself",
    ),
    (
        "paper",
        {"models__cnn__init": {"task": "atmosphere", "size": "1e5", "model": "gru"}},
        "models.cnn.init.model: 'gru' is of kind gru; a model starts from one of its own kind, cnn",
    ),
    (
        "paper",
        {"models__llm-packed__by_size": {"5e5": {"gpus": 3, "nodes": 2}}},
        "models.llm-packed.by_size.5e5: 3 GPU(s) cannot be shared out evenly over 2 nodes",
    ),
    (
        "paper",
        {"models__ensemble__members": ["llm-packed", "resnet-50"]},
        "models.ensemble.members: unknown name 'resnet-50'; did you mean 'resnet50'?",
    ),
    (
        "paper",
        {"models__two": {"kind": "ensemble", "members": ["ridge", "ensemble"]}},
        "models.two.members: 'ensemble' is an ensemble itself",
    ),
    ("paper", {"models__ensemble__members": ["cnn", "cnn"]}, "models.ensemble.members: a model is named twice"),
    (
        "paper",
        {"models__cnn__by_size": {"1e6": {}}},
        "models.cnn.by_size: unknown name '1e6'; did you mean '1.5e6'?",
    ),
    ("paper", {"models__mlp__bin": 5000}, "models.mlp.bin: 5000 is more than the 4901 values"),
    ("paper", {"run__tasks": ["atmosphre"]}, "run.tasks: unknown name 'atmosphre'; did you mean 'atmosphere'?"),
    ("paper", {"run__models": ["rigde"]}, "run.models: unknown name 'rigde'; did you mean 'ridge'?"),
    ("paper", {"run__sizes": ["1e5", "2e5", "all"]}, "run.sizes: unknown name '2e5'"),
    ("paper", {"run__sizes": ["all"]}, "run.sizes: none is a size of task 'atmosphere' (1e5, 5e5, 1.5e6)"),
    ("paper", {"surveys__apogee": None}, "run.tasks: 'abundances' learns from apogee, but surveys.apogee is null"),
    ("paper", {"surveys__galah": None}, "run.validation: surveys.galah is null"),
    (
        "paper",
        {"degradation__changes": [{"name": "a", "snr": 9}, {"name": "a", "snr": 8}]},
        "degradation.changes.a: two changes have this name",
    ),
    (
        "paper",
        {"degradation__changes": [{"name": "a"}]},
        "degradation.changes.a: it changes nothing; give resolution",
    ),
    (
        "paper",
        {"degradation__changes": [{"name": "a", "resolution": 1800}]},
        "degradation.changes.a.resolution: 1800 is not below the spectra's own, 1800",
    ),
    (
        "paper",
        {"degradation__changes": [{"name": "a", "missing": [[3900, 3850]]}]},
        "degradation.changes.a.missing: 3900-3850 A is no window",
    ),
    (
        "paper",
        {"tasks__abundances__sample__sizes": {"test-r600": None}},
        "tasks.abundances.sample.sizes.test-r600: 'test-r600' is",
    ),
    (
        "demo",
        {"models__llm-demo__lora__rank": 512},
        "models.llm-demo.lora.rank: 512 is out of range 1-128 (the base's width)",
    ),
    (
        "paper",
        {"models__llm-packed__base": "/data/mine", "models__llm-packed__revision": "main"},
        "models.llm-packed.revision: '/data/mine' is a folder",
    ),
    (
        "demo",
        {"models__llm-demo__encoding": "packed"},
        "models.llm-demo: its base 'tiny' was made for encoding 'demo', not 'packed'",
    ),
    ("demo", {"bases__tiny__heads": 7}, "bases.tiny: hidden (128) must be a multiple of heads (7)"),
    ("demo", {"bases__tiny__size": "demmo"}, "bases.tiny.size: unknown name 'demmo'; did you mean 'demo'?"),
    ("demo", {"bases__tiny__task": "atmos"}, "bases.tiny.task: unknown name 'atmos'; did you mean 'atmosphere'?"),
]


@pytest.mark.parametrize(("which", "change", "said"), CASES, ids=[case[2][:50] for case in CASES])
def test_a_broken_rule_is_said(which: str, change: dict[str, Any], said: str, request: pytest.FixtureRequest) -> None:
    found = faults(request.getfixturevalue(which), **change)
    assert any(fault.startswith(said) for fault in found), found


def test_the_shipped_configurations_break_none(paper: Config, demo: Config) -> None:
    assert faults(paper) == faults(demo) == []


def test_a_shortage_that_is_wanted_is_no_fault(paper: Config) -> None:
    assert (
        faults(paper, tasks__atmosphere__sample__sizes__1e5=4_000_000, tasks__atmosphere__sample__shortage="take_all")
        == []
    )
