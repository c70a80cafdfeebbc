"""The code that a job's hash stands for: all that the job executes, and no more than that needs."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from starglot.workflow.provenance.code import PACKAGE, SAID, SCRIPT, code_definitions, hash_of, reached
from starglot.workflow.provenance.modules import Module, Package

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow/scripts"
#: Scripts that are no rule's.
BY_HAND = {"accept", "check", "draw_rulegraph", "explain", "generate_reference", "recover"}
RULES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem not in BY_HAND)


@cache
def cuts(file: Path) -> list[tuple[int, int, str]]:
    """(first line, last line, name) of a module's top-level definitions."""
    found = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [getattr(node, "name", ""), *(one.id for one in targets if isinstance(one, ast.Name))]
        found += [(first, node.end_lineno or first, name) for name in names if name]
    return found


def executed(note: str) -> str:
    """``file:line`` as 'module:definition'."""
    name, _, line = note.rpartition(":")
    file = Path(name)
    module = ".".join(file.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    inside = [name for first, last, name in cuts(file) if first <= int(line) <= last]
    return f"{module}:{inside[0] if inside else '(import)'}"


@pytest.fixture(scope="module")
def traces(mini) -> dict[tuple[str, str], set[str]]:
    """(script, hash of its code or '') -> definitions that its jobs executed."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in mini.called.iterdir():
        command, *notes = path.read_text(encoding="utf-8").splitlines()
        words = json.loads(command)
        script = next(Path(word).stem for word in words if "workflow/scripts/" in word)
        code = words[words.index("--code-hash") + 1] if "--code-hash" in words else ""
        found[script, code] |= {executed(note) for note in notes}
    return found


def names_of(script: str, package: Package) -> set[str]:
    """'module:definition' of all that a script reaches whatever its job picks."""
    every = reached(Module(package, SCRIPT, SCRIPTS / f"{script}.py"), {})
    return {f"{one.module}:{one.name}" for one in every}


def test_every_definition_that_a_job_executes_is_in_its_hash(traces, mini):
    with_messages = Package(PACKAGE.root, PACKAGE.name, messages=True)
    assert len(traces) > 20
    outside = {}
    for (script, code), ran in traces.items():
        if code:
            known = set(json.loads((mini.path("state", "code") / f"{code}.json").read_text()))
            known = {name.partition("[")[0] for name in known}
        else:
            known = names_of(script, PACKAGE)
        said = {name for name in ran if name.partition(":")[0].partition(".")[2] in SAID}
        left = ran - known - said
        # What a log call or an error's words alone call reaches no result.
        left -= names_of(script, with_messages) - names_of(script, PACKAGE)
        if left:
            outside[script, code] = sorted(left)
    assert outside == {}


def test_the_trace_saw_what_it_should(traces):
    """Were nothing noted, the test above could not fail."""
    cleaned = set().union(*(ran for (script, _), ran in traces.items() if script == "clean_shard"))
    trained = set().union(*(ran for (script, _), ran in traces.items() if script == "train_llm"))
    assert {"starglot.spectra.clean:clean", "starglot.spectra.resample:resample"} <= cleaned
    assert {"starglot.training.finetune:finetune", "starglot.models.llm:load_base"} <= trained


# ---------------------------------------------------------------- tight


class Edited(Package):
    """The package, with one definition edited in memory; modules that stay as they are are shared."""

    def __init__(self, whole: Package, module: str, name: str):
        super().__init__(whole.root, whole.name)
        self._modules = {other: made for other, made in whole._modules.items() if other != module}
        self._at, self._edit = whole.file(module), name

    def text(self, file: Path) -> str:
        text = super().text(file)
        if file != self._at:
            return text
        tree = ast.parse(text)
        for node in tree.body:
            edit(node, self._edit)
        return ast.unparse(tree)


def bound(node: ast.stmt) -> set[str]:
    """Names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    inside = [one for target in targets for one in ast.walk(target)]
    return {one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def edit(node: ast.stmt, name: str) -> None:
    """Let a statement that defines ``name`` do something else."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
        node.body.append(ast.parse("_edited = 1").body[0])
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        if name in bound(node):
            node.value = ast.Tuple([node.value, ast.Constant("edited")], ast.Load())


def hashes(package: Package, scripts: list[str]) -> dict[str, str]:
    return {script: hash_of(code_definitions(SCRIPTS / f"{script}.py", {}, package)) for script in scripts}


@pytest.fixture(scope="module")
def plain() -> Package:
    """The package as it is, apart from what other tests have looked at, every module in it read."""
    package = Package(PACKAGE.root, PACKAGE.name)
    for module in package.names():
        package.module(module)
    return package


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, 6))])
def test_an_edit_moves_the_hashes_of_the_scripts_that_reach_it_and_of_no_other(plain, part):
    """Every definition of a sixth of the modules is edited, one at a time; of scripts that reach the same of a
    module, one is looked at."""
    reach = {script: set(code_definitions(SCRIPTS / f"{script}.py", {}, plain)) for script in RULES}
    before, tried = hashes(plain, RULES), 0
    for module in plain.names()[part::6]:
        cut = plain.module(module)
        made = defaultdict(list)
        for statement in ast.parse(cut.file.read_text()).body:
            if isinstance(statement, _EDITED):
                for name in bound(statement):
                    made[name].append(statement)
        alike = {
            frozenset(part for part in reach[script] if part.startswith(f"{module}:")): script for script in RULES
        }
        near = [script for parts, script in alike.items() if parts]
        for name, statements in made.items():
            if len(statements) != 1 or name in cut.registries or name not in cut.definitions:
                continue
            after = hashes(Edited(plain, module, name), near)
            moved = {script for script in near if after[script] != before[script]}
            parts = {f"{module}:{other}" for other in bound(statements[0])}
            assert moved == {script for script in near if parts & reach[script]}, (module, name)
            tried += 1
    assert tried > 150


_EDITED = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
