"""Files that are made from others are in step with them, and the lock with what is declared."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from starglot.config import reference
from starglot.workflow.rebuilds import table

#: Extras of the package that jobs of the workflow use.
OF_JOBS = ("workflow", "baselines", "gpu")
CORE = "snakemake torch transformers peft bitsandbytes deepspeed astropy pandas pyarrow fitsio".split()


@pytest.fixture(scope="module")
def lock(project: Path) -> dict[str, str]:
    """name -> version of requirements/lock.txt."""
    return pins((project / "requirements/lock.txt").read_text())


def pins(text: str) -> dict[str, str]:
    """name -> version of a lock's text."""
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}


@pytest.fixture(scope="module")
def declared(project: Path) -> dict[str, list[Requirement]]:
    """Requirements of pyproject.toml: 'run', those of jobs, 'dev' and 'retention'."""
    settings = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    extras = settings["optional-dependencies"]
    run = [*settings["dependencies"], *(text for name in OF_JOBS for text in extras[name])]
    named = {"run": run, "dev": extras["dev"], "retention": extras["retention"]}
    return {name: [Requirement(text) for text in texts] for name, texts in named.items()}


def test_schema_and_reference_are_generated_from_the_models(project: Path) -> None:
    hint = "out of step with the models: make docs"
    assert (project / "config/schema.json").read_text() == reference.schema_json(), hint
    docs = project / "docs"
    pages = {path: path.read_text() for path in [docs / "reference.md", *(docs / "reference").glob("*.md")]}
    assert pages == {docs / name: text for name, text in reference.reference_pages().items()}, hint


def test_the_rebuild_table_is_what_is_tested(project: Path) -> None:
    page = (project / "docs/rebuilds.md").read_text()
    rows = table.read_table(project / "tests/workflow/rebuilds.yaml")
    assert page == table.with_table(page, rows), "out of step with tests/workflow/rebuilds.yaml: make docs"


def test_the_lock_pins_what_is_declared(declared: dict[str, list[Requirement]], lock: dict[str, str]) -> None:
    for requirement in (*declared["run"], *declared["dev"]):
        name = canonicalize_name(requirement.name)
        if name == "torch":
            continue
        assert name in lock, f"{name} is not in the lock: make lock"
        assert requirement.specifier.contains(Version(lock[name])), f"{requirement}, but {lock[name]}: make lock"


def test_the_ten_core_packages_are_core(declared: dict[str, list[Requirement]]) -> None:
    assert set(CORE) <= {requirement.name for requirement in declared["run"]}


@pytest.mark.parametrize("name", ["lock", "retention"])
def test_a_lock_has_hashes_no_hosts_and_leaves_torch_to_the_setup(project: Path, name: str) -> None:
    text = (project / f"requirements/{name}.txt").read_text()
    blocks, lock = re.split(r"^(?=\S)", text, flags=re.M)[1:], pins(text)
    assert len(blocks) == len(lock)
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text and "index-url" not in text and "find-links" not in text
    chosen_by_accel = [name for name in lock if name in ("torch", "triton") or name.startswith(("nvidia-", "cuda-"))]
    assert chosen_by_accel == []


def test_torch_is_one_version_everywhere(project: Path, declared: dict[str, list[Requirement]]) -> None:
    """The build that setup.sh installs is the one that the lock was made for, and one that is allowed."""
    (pinned,) = re.findall(r"^TORCH=(\S+)$", (project / "requirements/setup.sh").read_text(), re.M)
    uv = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["uv"]
    assert [it["version"] for it in uv["dependency-metadata"] if it["name"] == "torch"] == [pinned]
    assert uv["constraint-dependencies"] == [f"torch=={pinned}"]
    (allowed,) = [it.specifier for it in declared["run"] if it.name == "torch"]
    assert allowed.contains(pinned)


def test_exact_versions_are_in_the_lock_alone(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    texts = [
        *settings["dependencies"],
        *(text for extra in settings["optional-dependencies"].values() for text in extra),
    ]
    assert [text for text in texts if any(it.operator in ("==", "===") for it in Requirement(text).specifier)] == []


def test_what_lm_eval_adds_is_locked_apart(project: Path, declared: dict[str, list[Requirement]]) -> None:
    """Few need it and its thirty packages; it changes the version of nothing that is declared."""
    further = pins((project / "requirements/retention.txt").read_text())
    (needed,) = declared["retention"]
    assert needed.specifier.contains(Version(further[canonicalize_name(needed.name)])), "make lock"
    lines = [(project / f"requirements/{name}.txt").read_text().splitlines() for name in ("lock", "retention")]
    assert not set.intersection(*({line for line in each if "==" in line} for each in lines))
    ours = {canonicalize_name(requirement.name) for requirement in (*declared["run"], *declared["dev"])}
    assert not ours & set(further)


def test_conda_environments_are_in_step_with_the_lock(
    project: Path, declared: dict[str, list[Requirement]], lock: dict[str, str]
) -> None:
    files = sorted((project / "envs").glob("*.yaml"))
    assert files
    for path in files:
        pinned = next(
            item["pip"] for item in yaml.safe_load(path.read_text())["dependencies"] if isinstance(item, dict)
        )
        versions = dict(pin.split("==") for pin in pinned)
        wanted = [*declared["run"], *(declared["retention"] if path.stem == "retention" else ())]
        assert set(versions) == {requirement.name for requirement in wanted}, f"{path.name}: make lock"
        for name, version in versions.items():
            assert version == lock.get(name, version), f"{path.name}: {name}: make lock"


def test_rules_name_environments_that_exist(project: Path) -> None:
    for path in (project / "rules").glob("*.smk"):
        for name in re.findall(r"""["'](\.\./envs/[^"']+)["']""", path.read_text()):
            assert (path.parent / name).is_file(), f"{path.name} names {name}"


#: Rules of runs of galaxies, of other surveys, of encoders and of question sets, which the demo, as pictured, is not.
ELSEWHERE = {
    *("make galaxies", "list held out", "tabulate redshifts", "tabulate ablation", "make desi", "make gaia xp"),
    *("train encoder", "pair views", "train aligned", "embed pairs", "tabulate alignment"),
    *("tabulate transfer", "tabulate transfer sizes", "compare planes", "draw landscapes", "draw saliency"),
    *("draw strategies", "fit pipeline", "predict pipeline", "tabulate transfer parameters"),
    *("ask base", "ask tuned", "tabulate retention", "train masked patches"),
}


def test_the_picture_of_the_rules_shows_every_rule_that_makes_something(project: Path) -> None:
    picture = (project / "docs/images/rulegraph.svg").read_text()
    shown = set(re.findall(r"<text[^>]*>([^<]+)</text>", picture))
    making = set()
    for path in (project / "rules").glob("*.smk"):
        for name, body in re.findall(
            r"^ *(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.M | re.S
        ):
            if re.search(r"^ +output:", body, re.M):
                making.add(name.replace("_", " "))
    making.discard("fetch base")  # asked for by name; no other rule needs it
    making -= ELSEWHERE
    assert making <= shown, f"not in the picture: {sorted(making - shown)}; make docs"
