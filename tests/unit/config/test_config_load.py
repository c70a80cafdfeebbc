"""What a user sees of a configuration: both shipped ones load, and every fault is named, all at once."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from refusals import at, holds, refused
from starglot.config.kinds.llm import Llm
from starglot.config.load import load_config, merge, read_config


@pytest.fixture(scope="module")
def paper(project: Path) -> dict[str, Any]:
    return yaml.safe_load((project / "config/config.yaml").read_text())


@pytest.fixture(scope="module")
def demo(project: Path, paper: dict[str, Any]) -> dict[str, Any]:
    return merge(paper, yaml.safe_load((project / "config/demo.yaml").read_text()))


def faults(raw: dict[str, Any], **changes: Any) -> list[str]:
    """Faults of ``raw`` with changes given as ``a__b__c=value`` ('...' removes a key)."""
    raw = copy.deepcopy(raw)
    for path, value in changes.items():
        *above, last = path.split("__")
        holder = raw
        for part in above:
            holder = holder[part]
        if value is ...:
            del holder[last]
        else:
            holder[last] = value
    with refused(where="my.yaml", todo="docs/reference.md") as caught:
        load_config(raw, "my.yaml")
    first, *lines = caught.value.what.splitlines()
    assert holds(first, len(lines)) and all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


def test_shipped_configurations_load_and_are_what_the_paper_says(project: Path) -> None:
    full = read_config(project / "config/config.yaml")
    assert full.recipes["paper"].wavelength.size == 4901
    assert full.tasks["atmosphere"].sample.sizes == {"1e5": 100_000, "5e5": 500_000, "1.5e6": 1_500_000}
    assert len(full.tasks["abundances"].labels) == 21
    for name in ("llm-paper", "llm-packed"):
        model = full.models[name]
        assert isinstance(model, Llm)
        assert (model.lora.rank, model.lora.alpha, model.lora.dropout) == (64, 128, 0.1)
        assert (model.quantisation, model.training.learning_rate, model.training.weight_decay) == ("nf4", 1e-4, 0.1)
        assert model.training.batch * model.training.accumulate == 64
    demo = read_config(project / "config/config.yaml", project / "config/demo.yaml")
    assert demo.mock is not None and demo.results != full.results
    assert demo.state_dir.startswith(demo.results)


@pytest.mark.parametrize(
    ("change", "key", "named"),
    [
        ({"sed": 1}, "sed", ("seed",)),
        ({"recipes__paper__wavelenght": {}}, "recipes.paper.wavelenght", ("wavelength",)),
        (
            {"models__llm-demo__training__learning-rate": 1},
            "models.llm-demo.training.learning-rate",
            ("learning_rate",),
        ),
        ({"tasks__atmosphere__sample__shortages": 1}, "tasks.atmosphere.sample.shortages", ("shortage",)),
        ({"surveys__galah__snrmin": 1}, "surveys.galah.snrmin", ("snr_min",)),
        ({"models__ridge__kind": "rigde"}, "models.ridge", ("rigde", "ridge")),
        (
            {"models__ridge": {}},
            "models.ridge",
            (
                "kind",
                "llm",
                "patch_llm",
                "class_mean",
                "ridge",
                "lightgbm",
                "resnet50",
                "cnn",
                "gru",
                "mlp",
                "ensemble",
            ),
        ),
        ({"surveys__lamost__stellar": ...}, "surveys.lamost.stellar", ()),
        ({"recipes__paper__normalisation": "mx"}, "recipes.paper.normalisation", ("mx", "max", "median", "p99")),
        ({"recipes__paper__mask_bits": "none"}, "recipes.paper.mask_bits", ("all", "'none'")),
        ({"recipes": 3}, "recipes", (3,)),
        (
            {"models__llm-demo__training__epochs": {"demo": 1}},
            "models.llm-demo.training.epochs",
            ("models.<name>.by_size.<size>.<key>", "{'demo': 1}"),
        ),
        ({"models__llm-demo__lora__rank": 0}, "models.llm-demo.lora.rank", (1, 0)),
        ({"tasks__atmosphere__sample__sizes": {100: 5}}, "tasks.atmosphere.sample.sizes.100", (100,)),
        ({"encodings__a/b": {"form": "paper"}}, "encodings.a/b", ("'.'", "'_'", "'-'")),
    ],
)
def test_one_wrong_value_is_one_sentence(
    demo: dict[str, Any], change: dict[str, Any], key: str, named: tuple[Any, ...]
) -> None:
    found = faults(demo, **change)
    assert len(found) == 1 and at(found, key, *named), found


def test_faults_of_every_kind_are_reported_together(demo: dict[str, Any]) -> None:
    found = faults(
        demo,
        sed=1,
        recipes__paper__normalisation="mx",
        run__sets=["tst", "val"],
        surveys__lamost__coverage=[5000, 6000],
        tasks__abundances__question__labels=["mgfe"],
    )
    assert sorted(fault.split(":")[0] for fault in found) == [
        "recipes.paper.normalisation",
        "recipes.paper.wavelength",
        "run.sets.0",
        "sed",
        "tasks.abundances.question.labels",
    ]


def test_a_wrong_value_does_not_bring_faults_that_are_none(demo: dict[str, Any]) -> None:
    assert len(faults(demo, **{"models__llm-demo__training__epochs": "many"})) == 1
    assert len(faults(demo, tasks__atmosphere__sample__sizes="all")) == 1


def test_files_that_cannot_be_read_are_one_clear_message(project: Path, tmp_path: Path) -> None:
    with refused(where=project / "config/confg.yaml", allowed="config/demo.yaml"):
        read_config(project / "config/confg.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("seed: 1\nrun:\n  tasks: [a\nsplit: 3\n")
    with refused(where=(broken, "line 4")):
        read_config(broken)
    broken.write_text("- a\n- b\n")
    with refused(where=broken, todo="config/config.yaml"):
        read_config(broken)


def test_overlays_merge_maps_and_replace_the_rest() -> None:
    assert merge({"a": {"x": 1, "y": [1, 2]}, "b": 2}, {"a": {"y": [3]}, "b": {"z": 1}}) == {
        "a": {"x": 1, "y": [3]},
        "b": {"z": 1},
    }


@pytest.mark.parametrize(
    ("overlays", "cuts"),
    [
        ([], {"r": 2.0, "i": 2.0}),
        (["{g: 5}"], {"g": 5.0}),
        (["{}"], {}),
        (["null"], {}),
        (["{r: 3, i: 2}"], {"r": 3.0, "i": 2.0}),
        (["{r: 3, i: 2}", "{r: null, g: 5}"], {"i": 2.0, "g": 5.0}),
        (["{r: 3}", "null"], {}),
    ],
)
def test_an_overlay_says_which_bands_are_cut_on(
    project: Path, tmp_path: Path, overlays: list[str], cuts: dict[str, float]
) -> None:
    paths = [project / "config/config.yaml"]
    for number, text in enumerate(overlays):
        paths.append(tmp_path / f"{number}.yaml")
        paths[-1].write_text(f"surveys: {{lamost: {{snr_min: {text}}}}}\n")
    assert read_config(*paths).surveys.lamost.snr_min == cuts


def test_a_band_that_is_none_is_a_fault(paper: dict[str, Any]) -> None:
    assert any("snr_min.q" in fault for fault in faults(paper, surveys__lamost__snr_min={"q": 1}))
    assert any("snr_min.r" in fault for fault in faults(paper, surveys__lamost__snr_min={"r": "high"}))
