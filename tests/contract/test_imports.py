"""Imports go one way: a room of the package uses its own floor and those below, and no two rooms use each other."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

#: Rooms (folders or modules of starglot), the ground floor first.  Scripts and the Snakefile stand on top.
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "errors",
        "extras",
        "folders",
        "registry",
        "labels",
        "forms",
        "flux_text",
        "rejections",
        "statuses",
        "hashing",
        "tables",
        "store",
    ),
    ("config", "fingerprint", "formats"),
    ("spectra",),
    ("language", "models", "samples", "surveys", "mock"),
    ("workflow",),
    ("training", "inference", "evaluation", "plots", "report"),
    ("cli", "commands"),
    ("__main__",),
)
#: The modules that have to do with Snakemake's planning: `starglot explain` and `accept` ask what would run, and the
#: Snakefile has groups of jobs cut as the profile says.
PLANS = ("workflow/rebuilds/plan.py", "workflow/groups.py")
HEAVY = ("torch", "transformers", "peft", "accelerate", "deepspeed", "matplotlib", "astropy", "fitsio")


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it (also inside functions)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where things come from"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.fixture(scope="module")
def uses(project: Path) -> dict[str, dict[str, set[str]]]:
    """room -> room that it uses -> files that do."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    package = project / "src/starglot"
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).with_suffix("").parts[0]
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "starglot" and len(parts) > 1 and parts[1] != room:
                found[room][parts[1]].add(str(path.relative_to(project)))
    return found


def test_every_room_has_a_floor(project: Path) -> None:
    package = project / "src/starglot"
    rooms = {path.relative_to(package).with_suffix("").parts[0] for path in package.rglob("*.py")}
    assert rooms - {"__init__"} == {room for floor in FLOORS for room in floor}


def test_a_room_uses_its_own_floor_and_those_below(uses: dict[str, dict[str, set[str]]]) -> None:
    floor = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
    upward = [
        f"{', '.join(sorted(files))}: {room} uses {other}"
        for room, others in uses.items()
        for other, files in others.items()
        if floor.get(other, 0) > floor.get(room, len(FLOORS))
    ]
    assert upward == []


def test_no_rooms_use_each_other(uses: dict[str, dict[str, set[str]]]) -> None:
    order = graphlib.TopologicalSorter({room: set(others) for room, others in uses.items()})
    order.prepare()


def test_the_package_never_imports_scripts_or_tests(project: Path) -> None:
    for path in (project / "src/starglot").rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        allowed = {"snakemake"} if path.as_posix().endswith(PLANS) else set()
        assert not tops & {"workflow", "tests", "scripts", "snakemake", "pytest", "hypothesis"} - allowed, path


@pytest.mark.parametrize(
    "modules",
    [
        "config.load config.queries config.reference labels forms rejections statuses tables hashing errors "
        "workflow.provenance fingerprint store cli",
        "workflow.check workflow.fetch",
    ],
)
def test_what_every_command_starts_with_is_light(modules: str) -> None:
    code = f"import sys, {', '.join('starglot.' + name for name in modules.split())}\n"
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
