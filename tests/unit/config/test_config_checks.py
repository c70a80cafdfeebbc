"""Rules that span several keys: each is broken once, and says so with the key to change."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from refusals import at
from starglot.config.checks.across_keys import cross_check
from starglot.config.load import read_config
from starglot.config.root import Config


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


STRATA = "tasks__atmosphere__sample__strata"
#: Which configuration, what is changed in it, and the key and the names and numbers that the fault must give.
CASES: list[tuple[Any, ...]] = [
    ("demo", {"encodings__patches__width": 5000}, "encodings.patches.width", 5000, 4901),
    ("demo", {"encodings__patches__stride": 200}, "encodings.patches.stride", 200, 140),
    ("demo", {"models__llm-patches__encoding": "demo"}, "models.llm-patches.encoding", "demo", "patch_llm"),
    ("demo", {"models__llm-demo__encoding": "patches"}, "models.llm-demo.encoding", "patches", "patch_llm"),
    ("demo", {"models__llm-patches__base": "tiny"}, "models.llm-patches.base", "tiny", "demo"),
    ("demo", {"models__llm-demo__base": "random"}, "models.llm-demo.base", "random"),
    ("demo", {"bases__random__heads": 7}, "bases.random", 128, 7),
    ("demo", {"run__sets": ["test", "held_out"]}, "run.sets", "held_out", "LAMOST"),
    ("demo", {"models__llm-patches__lora__rank": 500}, "models.llm-patches.lora.rank", 500, "1-128"),
    ("demo", {STRATA: {"label": "rv", "edges": [0]}}, "tasks.atmosphere.sample.strata.label", "rv"),
    ("demo", {STRATA: {"label": "feh", "edges": [0, -1]}}, "tasks.atmosphere.sample.strata.edges", "-1.0"),
    ("demo", {STRATA: {"label": "feh", "edges": [-1]}}, "tasks.atmosphere.sample.strata"),
    ("paper", {"recipes__paper__wavelength__stop": 9200.0}, "recipes.paper.wavelength", "3800-9200", "3700-9099"),
    ("paper", {"recipes__paper__wavelength__stop": 3000.0}, "recipes.paper.wavelength", 3000, 3800),
    ("paper", {"tasks__atmosphere__sample__view": "lamots/paper"}, "tasks.atmosphere.sample.view", "lamots"),
    ("paper", {"tasks__atmosphere__sample__view": "apogee/paper"}, "tasks.atmosphere.sample.view", "apogee"),
    ("paper", {"tasks__atmosphere__sample__view": "lamost/papre"}, "tasks.atmosphere.sample.view", "papre"),
    ("paper", {"tasks__atmosphere__sample__view": "lamost"}, "tasks.atmosphere.sample.view", "''"),
    ("paper", {"recipes__paper__wavelength__log": True}, "recipes.paper.wavelength", "size"),
    ("paper", {"recipes__paper__wavelength__size": 9}, "recipes.paper.wavelength", 9),
    ("paper", {"recipes__paper__wavelength__step": 3.0}, "recipes.paper.wavelength", 3, "3800-8700"),
    ("paper", {"split__test": 0.3}, "split", 1, 1.1),
    (
        "paper",
        {"tasks__atmosphere__sample__sizes__1e5": 4_000_000},
        "tasks.atmosphere.sample.sizes.1e5",
        800000,
        432474,
        "A",
    ),
    ("paper", {"tasks__atmosphere__sample__sizes__1e5": 4}, "tasks.atmosphere.sample.sizes.1e5", 4, 5),
    ("paper", {"tasks__atmosphere__sample__sizes__1e5": -4}, "tasks.atmosphere.sample.sizes.1e5", -4),
    (
        "paper",
        {"tasks__atmosphere__question__labels": ["teff", "log_g"]},
        "tasks.atmosphere.question.labels",
        "log_g",
        "logg",
    ),
    ("paper", {"models__ridge.s1": {"kind": "ridge"}}, "models.ridge.s1", "ridge"),
    (
        "paper",
        {"tasks__atmosphere__sample__sizes__1e5.f3": 10},
        "tasks.atmosphere.sample.sizes.1e5.f3",
        ".s",
        ".f",
        ".x",
    ),
    ("paper", {"scaling__tasks": ["atmosfere"]}, "scaling.tasks", "atmosfere", "atmosphere"),
    ("paper", {"scaling__sizes": ["1e6"]}, "scaling.sizes", "1e6"),
    ("paper", {"scaling__test_size": "all"}, "scaling.test_size", "all"),
    ("paper", {"scaling__models": ["ridgee"]}, "scaling.models", "ridgee", "ridge"),
    ("paper", {"scaling__seeds": [1, 1]}, "scaling.seeds"),
    ("paper", {"scaling__passes": [0.3333]}, "scaling.passes", 0.3333),
    (
        "paper",
        {"tasks__atmosphere__question__labels": ["teff", "mg_fe"]},
        "tasks.atmosphere.question.labels",
        "mg_fe",
        "lamost",
    ),
    ("paper", {"tasks__atmosphere__question__labels": ["teff", "teff"]}, "tasks.atmosphere.question.labels"),
    (
        "paper",
        {"tasks__abundances__sample__source": "galah", "run__validation": []},
        "tasks.abundances.question.labels",
        "ci_fe",
        "galah",
    ),
    (
        "paper",
        {"tasks__atmosphere__question__decimals": {"logg": 9}},
        "tasks.atmosphere.question.decimals.logg",
        9,
        "0-6",
    ),
    (
        "paper",
        {"tasks__atmosphere__question__decimals": {"loggg": 2}},
        "tasks.atmosphere.question.decimals",
        "loggg",
        "logg",
    ),
    (
        "paper",
        {"encodings__paper__bin": 500, "recipes__paper__wavelength__stop": 4000.0},
        "encodings.paper.bin",
        500,
        201,
    ),
    ("paper", {"models__llm-paper__encoding": "papper"}, "models.llm-paper.encoding", "papper", "paper"),
    ("paper", {"models__llm-paper__init__size": "1e6"}, "models.llm-paper.init.size", "1e6"),
    (
        "paper",
        {"models__llm-paper__init__model": "llm-packd"},
        "models.llm-paper.init.model",
        "llm-packd",
        "llm-packed",
    ),
    (
        "paper",
        {
            "models__llm-packed__init": {"task": "abundances", "size": "all", "model": "llm-paper"},
            "models__llm-paper__init": {"task": "atmosphere", "size": "1e5", "model": "llm-packed"},
        },
        "models.llm-packed.init",
        "atmosphere",
    ),
    (
        "paper",
        {"models__cnn__init": {"task": "atmosphere", "size": "1e5", "model": "gru"}},
        "models.cnn.init.model",
        "gru",
        "cnn",
    ),
    (
        "paper",
        {"models__llm-packed__by_size": {"5e5": {"gpus": 3, "nodes": 2}}},
        "models.llm-packed.by_size.5e5",
        3,
        2,
    ),
    (
        "paper",
        {"models__ensemble__members": ["llm-packed", "resnet-50"]},
        "models.ensemble.members",
        "resnet-50",
        "resnet50",
    ),
    (
        "paper",
        {"models__two": {"kind": "ensemble", "members": ["ridge", "ensemble"]}},
        "models.two.members",
        "ensemble",
    ),
    ("paper", {"surveys__lamost": None}, "run.tasks", "atmosphere", "surveys.lamost"),
    (
        "paper",
        {"tasks__atmosphere__sample__source": "apoge"},
        "tasks.atmosphere.sample.source",
        "apoge",
        "apogee",
    ),
    ("paper", {"run__validation": ["galha"]}, "run.validation", "galha", "galah"),
    (
        "paper",
        {"run__validation": ["apogee"]},
        "run.validation",
        "abundances",
        "apogee",
    ),
    ("paper", {"models__ensemble__members": ["cnn", "cnn"]}, "models.ensemble.members"),
    ("paper", {"models__cnn__by_size": {"1e6": {}}}, "models.cnn.by_size", "1e6", "1.5e6"),
    ("paper", {"models__mlp__bin": 5000}, "models.mlp.bin", 5000, 4901),
    ("paper", {"run__tasks": ["atmosphre"]}, "run.tasks", "atmosphre", "atmosphere"),
    ("paper", {"run__without": {"abundance": ["ridge"]}}, "run.without", "abundance", "abundances"),
    ("paper", {"run__without": {"abundances": ["rigde"]}}, "run.without.abundances", "rigde", "ridge"),
    (
        "demo",
        {"run__without": {"abundances": ["ridge"]}, "run__models": ["ridge"]},
        "run.without.abundances",
        "no model",
    ),
    ("paper", {"run__models": ["rigde"]}, "run.models", "rigde", "ridge"),
    ("paper", {"run__sizes": ["1e5", "2e5", "all"]}, "run.sizes", "2e5"),
    ("paper", {"run__sizes": ["all"]}, "run.sizes", "atmosphere", "1e5", "5e5", "1.5e6"),
    ("paper", {"surveys__apogee": None}, "run.tasks", "abundances", "apogee", "surveys.apogee"),
    ("paper", {"surveys__galah": None}, "run.validation", "surveys.galah"),
    ("paper", {"degradation__changes": [{"name": "a", "snr": 9}, {"name": "a", "snr": 8}]}, "degradation.changes.a"),
    ("paper", {"degradation__changes": [{"name": "a"}]}, "degradation.changes.a", "resolution"),
    (
        "paper",
        {"degradation__changes": [{"name": "a", "resolution": 1800}]},
        "degradation.changes.a.resolution",
        1800,
    ),
    (
        "paper",
        {"degradation__changes": [{"name": "a", "missing": [[3900, 3850]]}]},
        "degradation.changes.a.missing",
        "3900-3850",
    ),
    (
        "paper",
        {"tasks__abundances__sample__sizes": {"test-r600": None}},
        "tasks.abundances.sample.sizes.test-r600",
        "test-r600",
    ),
    ("demo", {"models__llm-demo__lora__rank": 512}, "models.llm-demo.lora.rank", 512, "1-128"),
    (
        "paper",
        {"models__llm-packed__base": "/data/mine", "models__llm-packed__revision": "main"},
        "models.llm-packed.revision",
        "/data/mine",
    ),
    ("demo", {"models__llm-demo__encoding": "packed"}, "models.llm-demo", "tiny", "demo", "packed"),
    ("demo", {"bases__tiny__heads": 7}, "bases.tiny", 128, 7),
    ("demo", {"bases__tiny__size": "demmo"}, "bases.tiny.size", "demmo", "demo"),
    ("demo", {"bases__tiny__task": "atmos"}, "bases.tiny.task", "atmos", "atmosphere"),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[2]} {next(iter(case[1].values()))}"[:50] for case in CASES])
def test_a_broken_rule_is_said(case: tuple[Any, ...], request: pytest.FixtureRequest) -> None:
    which, change, key, *named = case
    found = faults(request.getfixturevalue(which), **change)
    assert at(found, key, *named), found


def test_the_shipped_configurations_break_none(paper: Config, demo: Config) -> None:
    assert faults(paper) == faults(demo) == []


def test_a_run_may_be_narrowed_to_what_a_task_does_without(demo: Config) -> None:
    """As on the command line: the models and tasks that are left out need not be part of this run."""
    assert demo.run.without == {"abundances": ["llm-demo"]}
    for narrowed in ({"run__models": ["ridge"]}, {"run__tasks": ["atmosphere"]}, {"run__tasks": ["abundances"]}):
        assert faults(demo, **narrowed) == []


def test_labels_are_learnt_from_whatever_survey_brings_them(paper: Config) -> None:
    """Also those of the first stage from another survey than that of the spectra."""
    for survey in ("apogee", "galah", "gaia_eso"):
        assert faults(paper, tasks__atmosphere__sample__source=survey, run__validation=[]) == []


def test_a_shortage_that_is_wanted_is_no_fault(paper: Config) -> None:
    assert (
        faults(paper, tasks__atmosphere__sample__sizes__1e5=4_000_000, tasks__atmosphere__sample__shortage="take_all")
        == []
    )
