"""Encoders in the configuration: what must fit, what jobs pick, and which spectra count as seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from refusals import at
from starglot.config import embeddings, queries
from starglot.config.load import load_config, merge
from starglot.config.picked import OF_ENCODERS, picked
from starglot.errors import StarglotError
from starglot.workflow import encoder_cost, forecast

#: The transfer example, with an encoder of LAMOST's spectra, a network on its embeddings, and two that start from it.
OVERLAY = """
bases:
  lrs: {kind: masked_encoder, view: lamost/blue, width: 32, blocks: 1, heads: 4, gpus: 0}
models:
  embedded: {kind: mlp, base: lrs, gpus: 0}
  full: {base: lrs, init: {model: embedded}}
  zero-shot: {base: lrs, init: {model: embedded}}
run: {models: [zero-shot, full, ridge]}
scaling: {tasks: [], models: null}
tables: {baseline: full}
"""


@pytest.fixture(scope="module")
def transfer(project: Path) -> dict[str, Any]:
    """The transfer example."""
    merged: dict[str, Any] = {}
    for path in ("config/config.yaml", "config/demo.yaml", "config/transfer.yaml"):
        merged = merge(merged, yaml.safe_load((project / path).read_text()))
    return merged


@pytest.fixture(scope="module")
def raw(transfer: dict[str, Any]) -> dict[str, Any]:
    return merge(transfer, yaml.safe_load(OVERLAY))


def faults(raw: dict[str, Any], over: str) -> list[str]:
    with pytest.raises(StarglotError) as caught:
        load_config(merge(raw, yaml.safe_load(over)))
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines() if line.startswith("  - ")]


def test_the_example_is_a_configuration(transfer, project):
    config = load_config(merge(transfer, yaml.safe_load((project / "config/encoders.yaml").read_text())))
    assert embeddings.bases_under(config, "desi_blue", "embed-adapted") == ["encoder", "encoder-desi"]
    assert set(config.views) == {"lamost/blue", "desi/blue"}


def test_the_example_of_aligned_pairs_carries_all_that_the_papers_compare(transfer, project):
    config = load_config(merge(transfer, yaml.safe_load((project / "config/aligned.yaml").read_text())))
    assert config.used_pairs == ["lamost_xp", "desi_xp"] and "gaia_xp/xp" in config.views
    assert embeddings.bases_under(config, "desi_blue", "adapted-lora") == ["embed", "embed-desi", "xp"]
    sides = {model: embeddings.embedding_view(config, "desi_blue", model) for model in ("split-lora", "adapted-lora")}
    assert sides == {"split-lora": "lamost/blue", "adapted-lora": "desi/blue"}


def test_the_sweeps_differ_in_what_they_sweep_alone(transfer, project):
    over = yaml.safe_load((project / "config/transfer_sweeps.yaml").read_text())
    config = load_config(merge(transfer, over))
    plain = {**queries.dump(config.models["lora"]), "transfer": None}
    for name in config.scaling.models:
        mine = {**queries.dump(config.models[name]), "transfer": None}
        rate = config.models[name].training.learning_rate
        assert mine == {**plain, "training": {**plain["training"], "learning_rate": rate}}, name
        assert rate == 1e-3 or name.startswith("scratch"), name
    assert len(queries.sweep_models(config, config.scaling.tasks[0])) == 5 * len(config.scaling.models)


def test_a_network_that_reads_flux_is_told_nothing_of_bases(raw):
    """A key more would be another model to everything that was trained before."""
    config = load_config(raw)
    assert "base" not in queries.dump(config.models["lora"])
    assert queries.dump(config.models["full"])["base"] == "lrs"


def test_jobs_pick_the_encoder_that_they_train_or_read(raw):
    config = load_config(raw)
    of = {
        name: {picked(config, wildcards)[registry] for registry in OF_ENCODERS}
        for name, wildcards in {
            "base": {"base": "lrs"},
            "reader": {"task": "desi_blue", "model": "full.s1", "size": "all"},
            "flux": {"task": "desi_blue", "model": "lora", "size": "all"},
        }.items()
    }
    assert of == {"base": {("masked_encoder",)}, "reader": {("masked_encoder",)}, "flux": {()}}


def test_stars_of_an_encoder_count_as_seen_by_all_that_stand_on_it(raw):
    config = load_config(merge(raw, {"models": {"both": {"kind": "ensemble", "members": ["ridge", "full"]}}}))
    of = {model: embeddings.bases_under(config, "desi_blue", model) for model in ("full", "both", "ridge", "full.s2")}
    assert of == {"full": ["lrs"], "both": ["lrs"], "ridge": [], "full.s2": ["lrs"]}


def test_a_network_may_go_on_with_an_encoder_that_went_on_from_its_starts(raw):
    used = {"kind": "masked_encoder", "view": "desi/blue", "width": 32, "blocks": 1, "heads": 4, "init": "lrs"}
    over = {"bases": {"used": used}, "models": {"full": {"base": "used"}}}
    config = load_config(merge(raw, over))
    assert embeddings.bases_under(config, "desi_blue", "full") == ["lrs", "used"]
    over["models"]["embedded"] = {"base": "used"}  # and zero-shot has the encoder before
    assert at(faults(raw, yaml.safe_dump(over)), "models.zero-shot.base", "lrs", "used")


#: A language model on patches of the same grid, with that encoder's embedding beside them.
BESIDE = """
encodings: {few: {form: patches, width: 140}}
models: {beside: {kind: patch_llm, base: random, encoding: few, encoder: lrs, init: {task: lamost_blue, size: all}}}
run: {models: [beside, ridge], tasks: [lamost_blue]}
tables: {baseline: ridge}
"""


def test_a_language_model_reads_an_encoder_beside_its_patches(raw):
    config = load_config(merge(raw, yaml.safe_load(BESIDE)))
    assert embeddings.embedding_base(config, "beside.s1") == "lrs"
    assert embeddings.bases_under(config, "lamost_blue", "beside") == ["lrs"]  # its spectra count as seen
    wildcards = {"task": "lamost_blue", "model": "beside", "size": "all"}
    assert {picked(config, wildcards)[registry] for registry in OF_ENCODERS} == {("masked_encoder",)}
    assert "lrs" in encoder_cost.built_bases(config)
    without = merge(raw, yaml.safe_load(BESIDE.replace("encoder: lrs, ", "")))
    assert "encoder" not in queries.dump(load_config(without).models["beside"])
    tokens = {forecast.tokens_of(each, "lamost_blue", "beside") for each in (config, load_config(without))}
    assert max(tokens) - min(tokens) == 1


@pytest.mark.parametrize(
    ("over", "key", "names"),
    [
        ("models: {beside: {encoder: lsr}}", "models.beside.encoder", ["lsr", "lrs"]),
        ("models: {beside: {encoder: random}}", "models.beside.encoder", ["random", "lrs"]),
        ("bases: {lrs: {view: desi/blue}}", "models.beside.encoder", ["desi/blue"]),  # which no task looks at
        (
            "bases: {lrs: {view: lamost/paper}}",
            "models.beside.encoder",
            ["lamost/blue", "lamost/paper"],
        ),
        (
            "models: {other: {kind: patch_llm, base: random, encoding: few}, beside: {init: {model: other}}}",
            "models.beside.encoder",
            ["lrs", "None", "other"],
        ),
        ("models: {beside: {base: lrs}}", "models.beside.base", ["lrs", "encoder"]),
    ],
)
def test_an_encoder_that_does_not_fit_beside_patches_is_refused(raw, over, key, names):
    given = merge(raw, yaml.safe_load(BESIDE))
    assert at(faults(given, over), key, *names), faults(given, over)


@pytest.mark.parametrize(
    ("over", "key", "names"),
    [
        ("bases: {lrs: {view: lamost/red}}", "bases.lrs.view", ["red"]),
        ("bases: {lrs: {width: 30}}", "bases.lrs", ["30", "4"]),
        ("recipes: {blue: {wavelength: {size: 500}}}", "bases.lrs.view", ["500", "600"]),
        ("models: {full: {base: lsr}}", "models.full.base", ["lsr", "lrs"]),
        ("models: {full: {base: random}}", "models.full.base", ["random", "lrs"]),
        ("models: {full: {bin: 2}}", "models.full", ["bin"]),
        ("models: {full: {training: {augment: {noise: 0.1}}}}", "models.full.training.augment", []),
        ("models: {full: {base: null}}", "models.full.base", ["lrs"]),  # it starts from one that reads embeddings
        ("bases: {lrs: {transfer: {strategy: lora}}}", "bases.lrs.transfer", ["init"]),
        ("bases: {lrs: {init: nobody}}", "bases.lrs.init", ["nobody", "lrs"]),
        (
            "bases: {lrs: {init: used}, used: {kind: masked_encoder, view: desi/blue, init: lrs}}",
            "bases.lrs.init",
            [],
        ),
        (
            "bases: {used: {kind: masked_encoder, view: desi/blue, init: lrs}}",
            "bases.used.width",
            ["768", "32", "lrs"],
        ),
        ("bases: {used: {kind: autoencoder, view: desi/blue, init: lrs}}", "bases.used.kind", ["masked_encoder"]),
        ("models: {llm-demo: {base: lrs}}", "models.llm-demo.base", ["lrs"]),
        ("bases: {lrs: {view: gaia_xp/blue}}", "models.full.base", ["gaia_xp/blue"]),  # which no task looks at
        ("bases: {lrs: {view: lamost/paper}}", "models.full.base", ["desi_blue", "desi/blue", "lamost/paper"]),
    ],
)
def test_what_does_not_fit_is_said_where_it_stands(raw, over, key, names):
    assert at(faults(raw, over), key, *names), faults(raw, over)
