"""A model and the trained one that it starts from: what jobs are told, and what does not fit is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from refusals import at, refused
from starglot.config import queries
from starglot.config.load import load_config, merge
from starglot.config.root import Config
from starglot.config.starts import fitting_start
from starglot.errors import StarglotError

#: The demo with a survey's view of its own, on the paper's grid and on another.
OVERLAY = """
recipes:
  other: {wavelength: {start: 3900.0, stop: 8000.0, step: 1.0}}
tasks:
  metals:
    question: {form: abundances, labels: [mg_fe, c_fe]}
    sample: {source: apogee, view: lamost/paper, groups: null, balanced: false, sizes: {all: null}}
  again:
    question: {form: atmosphere, labels: [teff, feh]}
    sample: {source: lamost, view: lamost/paper, balanced: true, sizes: {demo: 2100}, shortage: take_all}
models:
  carried:
    kind: mlp
    bin: 20
    preparation: continuum
    hidden: [128, 64, 32]
    gpus: 0
    init: {model: mlp, task: atmosphere, size: demo}
run: {tasks: [atmosphere, again], models: [carried, llm-demo], sizes: [demo]}
repeats: {models: []}
"""


@pytest.fixture(scope="module")
def raw(project: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for path in ("config/config.yaml", "config/demo.yaml"):
        merged = merge(merged, yaml.safe_load((project / path).read_text()))
    return merge(merged, yaml.safe_load(OVERLAY))


def configured(raw: dict[str, Any], model: str = "carried", **changes: Any) -> Config:
    return load_config(merge(raw, {"models": {model: changes}}))


def faults(raw: dict[str, Any], over: str) -> list[str]:
    with pytest.raises(StarglotError) as caught:
        load_config(merge(raw, yaml.safe_load(over)))
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines() if line.startswith("  - ")]


def test_a_job_is_told_its_strategy_where_it_starts_and_no_key_of_another(raw):
    given = {"rank": 4, "hidden": [9]}
    for strategy, told in (
        ("full", {}),
        ("lora", {"rank": 4, "alpha": 16, "layers": ["*"]}),
        ("residual", {"hidden": [9]}),
        ("zero_shot", {}),
        ("scratch", {}),
    ):
        config = configured(raw, transfer={"strategy": strategy, **given})
        assert queries.going_on(config, "again", "carried") == {"strategy": strategy, **told}
        assert queries.going_on(config, "atmosphere", "carried") == {}  # the task of its `init`: it starts anew
    assert queries.going_on(configured(raw), "again", "carried") == {"strategy": "full"}
    assert queries.going_on(configured(raw), "again", "llm-demo") == {"strategy": "lora"}
    assert queries.going_on(configured(raw), "again", "mlp") == {}


def test_from_scratch_there_is_no_start(raw):
    for model, start in (("carried", "mlp"), ("llm-demo", "llm-demo"), ("llm-patches", "llm-patches")):
        anew = configured(raw, model, transfer={"strategy": "scratch"})
        assert queries.starts_from(anew, "again", model) is None
        assert ("atmosphere", "demo") not in queries.trained_on(
            anew, "again", "carried", "demo"
        ) or model != "carried"
        zero = configured(raw, model, transfer={"strategy": "zero_shot"})
        assert queries.starts_from(zero, "again", model) == ("atmosphere", start, "demo")
        assert ("atmosphere", "demo") in queries.trained_on(zero, "again", model, "demo")


def test_seed_and_fold_are_those_of_the_start(raw):
    config = configured(raw, transfer={"strategy": "residual"})
    assert queries.starts_from(config, "again", "carried.s2.f1") == ("atmosphere", "mlp.s2.f1", "demo")


#: What is laid over, the key, and what its fault names.
CASES: list[tuple[Any, ...]] = [
    ("models: {mlp: {transfer: {strategy: full}}}", "models.mlp.transfer", "models.mlp.init"),
    ("models: {carried: {transfer: {strategy: adapters}}}", "models.carried.transfer.strategy", "'lora'", "'full'"),
    ("models: {llm-demo: {transfer: {strategy: full}}}", "models.llm-demo.transfer.strategy", "'zero_shot'"),
    ("models: {llm-patches: {transfer: {strategy: residual}}}", "models.llm-patches.transfer.strategy", "'lora'"),
    ("models: {ridge: {transfer: {strategy: full}}}", "models.ridge.transfer", "unknown"),
    ("models: {carried: {bin: 10}}", "models.carried.bin", 10, 20, "'mlp'"),
    (
        "{models: {carried: {transfer: {strategy: zero_shot}}}, run: {tasks: [metals], sizes: [all]}}",
        "models.carried.transfer.strategy",
        "mg_fe",
        "feh",
        "full",
    ),
    (
        "models: {carried: {transfer: {strategy: residual}, init: {task: metals, size: all}}}",
        "models.carried.transfer.strategy",
        "teff",
        "feh",
        "mg_fe",
    ),
    (
        "models: {carried: {transfer: {strategy: residual}, init: {task: metals, size: all}}}",
        "models.carried.transfer.strategy",
        "none",
        "tasks.again.sample.groups",
    ),
    (
        "{models: {llm-demo: {transfer: {strategy: zero_shot}}}, run: {tasks: [metals], sizes: [all]}}",
        "models.llm-demo.transfer.strategy",
        "abundances",
        "lora",
    ),
    ("tasks: {again: {sample: {view: lamost/other}}}", "models.carried.init", "'other'", "'paper'"),
    (
        "{tasks: {again: {sample: {view: lamost/other}}}, run: {models: [llm-patches]}}",
        "models.llm-patches.init",
        "'other'",
        "'paper'",
    ),
    (
        "models: {carried: {transfer: {strategy: residual}}, third: {kind: mlp, bin: 20, preparation: continuum, "
        "init: {model: carried, task: again, size: demo}}}",
        "models.third.init",
        "carried",
        "again",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_what_does_not_fit_is_said(raw, case):
    over, key, *named = case
    assert at(faults(raw, over), key, *(str(each).strip("'") for each in named)), faults(raw, over)


def test_what_fits_is_not_said(raw):
    """Text says its own range of wavelengths; fewer labels and no groups are no obstacle; the sizes are their own."""
    load_config(
        merge(raw, yaml.safe_load("{tasks: {again: {sample: {view: lamost/other}}}, run: {models: [llm-demo]}}"))
    )
    fewer = "tasks: {again: {sample: {groups: null, balanced: false}, question: {form: abundances, labels: [feh]}}}"
    configured(merge(raw, yaml.safe_load(fewer)), transfer={"strategy": "zero_shot"})


def test_a_task_that_is_not_of_the_run_is_checked_when_a_job_is_planned(raw):
    other = merge(raw, yaml.safe_load("{tasks: {again: {sample: {view: lamost/other}}}, run: {tasks: [atmosphere]}}"))
    config = load_config(other)
    assert fitting_start(config, "metals", "carried.s1") == ("atmosphere", "mlp.s1", "demo")
    assert fitting_start(config, "atmosphere", "carried") is None
    with refused("again", "atmosphere", where="models.carried", todo="docs/transfer.md"):
        fitting_start(config, "again", "carried")
