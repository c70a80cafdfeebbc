"""The wheel, in an environment that has what it declares and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from described_model import WAVELENGTH, build, star
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import starglot
from starglot.config.kinds.baselines import LightGbm
from starglot.config.kinds.llm import Llm
from starglot.extras import EXTRAS
from starglot.models.folder import MODEL
from starglot.tables import read_json, write_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def declared(project: Path) -> dict[str, object]:
    """The table `project` of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy: a build leaves files beside its sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(project / name, source / name)
    shutil.copytree(project / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    command = "pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir"
    subprocess.run([sys.executable, "-m", *command.split(), out, source], check=True)
    (made,) = out.glob("*.whl")
    return made


def needed(requirements: list[str], found: dict[str, Distribution], extra: str = "") -> dict[str, Distribution]:
    """Distributions that ``requirements`` bring with all that those need in turn, by name."""
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found:
            try:
                found[name] = distribution(requirement.name)
            except PackageNotFoundError:  # of another build of torch, say
                continue
            needed(found[name].requires or [], found)
        for asked in requirement.extras:
            needed(found[name].requires or [], found, asked)
    return found


def top_levels(installed: Distribution) -> Iterator[Path]:
    """What a distribution has put into site-packages."""
    for top in {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}:
        yield Path(str(installed.locate_file(top)))


@pytest.fixture(scope="module")
def clean(wheel: Path, declared: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of an environment with the wheel and its dependencies, linked from the present one."""
    place = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = (place / "lib").glob("python*/site-packages")
    for installed in needed(declared["dependencies"], {}).values():
        for path in top_levels(installed):
            if path.exists() and not (site / path.name).exists():
                (site / path.name).symlink_to(path)
    install = "pip --python {} install --quiet --no-deps --no-index".format(place / "bin/python")
    subprocess.run([sys.executable, "-m", *install.split(), wheel], check=True)
    return place / "bin"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that answers by itself."""
    return build(tmp_path_factory.mktemp("described"))


def run(clean: Path, *command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command of the clean environment, which sees nothing of this project's."""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    own["PATH"] = f"{clean}:/usr/bin:/bin"
    return subprocess.run([str(each) for each in command], cwd=cwd, env=own, capture_output=True, text=True)


def test_the_wheel_holds_every_file_of_the_package(project: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    source = project / "src"
    there = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert inside == {name for name in there if "__pycache__" not in name and ".egg-info" not in name}
    assert "starglot/py.typed" in inside
    assert f"\nVersion: {starglot.__version__}\n" in metadata and "\nLicense-Expression: MIT\n" in metadata


def test_the_version_is_one(project: Path) -> None:
    assert yaml.safe_load((project / "CITATION.cff").read_text())["version"] == starglot.__version__


def test_the_environment_has_nothing_of_the_extras(clean: Path, tmp_path: Path) -> None:
    """Else the other tests here would show little.  psutil and accelerate come with peft."""
    code = f"from importlib.util import find_spec; print([m for m in {list(EXTRAS)!r} if find_spec(m)])"
    done = run(clean, clean / "python", "-c", code, cwd=tmp_path)
    assert set(re.findall(r"'(\w+)'", done.stdout)) <= {"psutil", "accelerate", "jinja2"}, done.stderr


def test_the_command_is_installed(clean: Path, tmp_path: Path) -> None:
    done = run(clean, "starglot", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "predict" in done.stdout


def test_a_model_answers(clean: Path, model: Path, tmp_path: Path) -> None:
    flux, error = star(6000, -0.4, 80, seed=1000)
    pd.DataFrame({"wavelength": WAVELENGTH, "flux": flux, "error": error}).to_csv(tmp_path / "a.csv", index=False)
    done = run(clean, "starglot", "predict", "a.csv", "--model", model, "--out", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    values = [row["value"] for row in json.loads((tmp_path / "out.json").read_text())]
    here = starglot.load(model).predict((WAVELENGTH, flux, error))["value"]
    np.testing.assert_allclose(values, here, rtol=1e-6)


@pytest.mark.parametrize("command", [("explain",), ("accept", "--because", "x", "target")])
def test_a_command_of_the_workflow_names_its_extra(clean: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(clean, "starglot", *command, cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "snakemake" in done.stderr and "starglot[workflow]" in done.stderr


@pytest.mark.parametrize(
    ("settings", "library", "extra"),
    [
        (LightGbm(kind="lightgbm"), "lightgbm", "baselines"),
        (Llm(kind="llm", base="some/base", encoding="packed"), "bitsandbytes", "gpu"),
    ],
)
def test_a_model_of_an_extra_names_it(
    clean: Path, model: Path, tmp_path: Path, settings: object, library: str, extra: str
) -> None:
    shutil.copytree(model, tmp_path / "other")
    about = read_json(model / MODEL) | {"model": settings.model_dump(mode="json")}
    write_json(about, tmp_path / "other" / MODEL)
    done = run(clean, "starglot", "predict", "a.csv", "--model", "other", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert library in done.stderr and f"starglot[{extra}]" in done.stderr


def test_what_an_extra_brings_is_declared_with_it(declared: dict) -> None:
    distributions = {"PIL": "pillow"}
    for module, extra in EXTRAS.items():
        names = {canonicalize_name(Requirement(text).name) for text in declared["optional-dependencies"][extra]}
        assert canonicalize_name(distributions.get(module, module)) in names, module
