"""The hash of a script's code changes with the definitions that it reaches, and with nothing else."""

from __future__ import annotations

import ast
import marshal
import sys
from pathlib import Path

import pytest

from starglot.workflow.provenance.code import SCRIPT, code_definitions, hash_of
from starglot.workflow.provenance.modules import Package

#: A package in which a script reaches one() -> two() -> LIMIT, and nothing of c; KINDS is chosen from by name.
FILES = {
    "pkg/__init__.py": "",
    "pkg/room/__init__.py": "",
    "pkg/errors.py": "class StarglotError(Exception):\n    pass\n",
    "pkg/room/a.py": """
from pkg.room.b import two
from pkg.room import c


def one(x):
    return two(x) + 1


def apart():
    return c.three()
""",
    "pkg/room/b.py": '''
"""Doc."""

from __future__ import annotations

import logging

from pkg.errors import StarglotError

log = logging.getLogger(__name__)
LIMIT = 3
OTHER = 4


class Settings(Model):
    """Doc."""

    depth: int = Field(3, ge=1, description="How deep.")
    form: Literal["a", "b"] = "a"


def two(x: int, OTHER: int = 0) -> int:
    """Doc."""
    if x > LIMIT:
        raise StarglotError("too large", where=x)
    log.info("%d", x)
    return Settings().depth * x * OTHER
''',
    "pkg/room/c.py": "def three():\n    return 3\n",
    "pkg/kinds.py": """
from pkg.registry import Registry


def ridge():
    return 1


def cnn():
    return 2


KINDS: Registry[object] = Registry({"ridge": ridge, "cnn": cnn})
""",
    "pkg/registry.py": "class Registry(dict):\n    pass\n",
    "script.py": "from pkg.room.a import one\n\n\ndef main(args):\n    return one(args.x)\n",
    "choose.py": "from pkg import kinds\n\n\ndef main(args):\n    return kinds.KINDS[args.kind]()\n",
    "fixed.py": 'from pkg.kinds import KINDS\n\n\ndef main(args):\n    return KINDS["cnn"]()\n',
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def definitions(root: Path, script: str = "script.py", **picked: tuple[str, ...]) -> dict[str, str]:
    """As found anew, which is what is found with the notes of the last time at hand."""
    found = code_definitions(root / script, picked, Package(root, "pkg"))
    assert code_definitions(root / script, picked, Package(root, "pkg", noted=True)) == found
    return found


def edit(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def changed(
    root: Path, name: str, old: str, new: str, script: str = "script.py", **picked: tuple[str, ...]
) -> set[str]:
    """Parts that differ after an edit."""
    before = definitions(root, script, **picked)
    edit(root, name, old, new)
    after = definitions(root, script, **picked)
    assert (hash_of(before) == hash_of(after)) == (before == after)
    return {part for part in {*before, *after} if before.get(part) != after.get(part)}


def test_a_module_that_is_as_it_was_is_not_looked_through_again(root, monkeypatch):
    found, parse, parsed = definitions(root), ast.parse, []
    monkeypatch.setattr(ast, "parse", lambda text, filename="": parsed.append(Path(filename).name) or parse(text))

    def again() -> list[str]:
        parsed.clear()
        assert code_definitions(root / "script.py", {}, Package(root, "pkg", noted=True)) == found
        return parsed

    assert again() == []
    for broken in (b"", b"not a note", marshal.dumps(3)):
        (note,) = root.glob("pkg/room/__pycache__/b.*.pyc")
        note.write_bytes(broken)
        assert again() == ["b.py"] and again() == []
    # Whether `room.c` in `from pkg.room import c` is a module is not in the module's own text.
    (root / "pkg/room/d.py").touch()
    assert "a.py" in again()


def test_a_script_reaches_definitions_by_name_over_modules(root):
    named = {"pkg.room.a:one", "pkg.room.b:two", "pkg.room.b:LIMIT", "pkg.room.b:Settings"}
    assert set(definitions(root)) == {SCRIPT, *named}


@pytest.mark.parametrize(
    ("name", "old", "new", "parts"),
    [
        ("pkg/room/b.py", "LIMIT = 3", "LIMIT = 5", {"pkg.room.b:LIMIT"}),
        ("pkg/room/b.py", "* OTHER", "+ OTHER", {"pkg.room.b:two"}),
        ("pkg/room/b.py", "Field(3, ge", "Field(4, ge", {"pkg.room.b:Settings"}),
        ("pkg/room/b.py", "depth: int", "depth: float", {"pkg.room.b:Settings"}),
        ("pkg/room/b.py", "if x > LIMIT", "if x >= LIMIT", {"pkg.room.b:two"}),
        ("script.py", "one(args.x)", "one(args.y)", {SCRIPT}),
        # What reaches no result:
        ("pkg/room/b.py", '"""Doc."""', '"""Another."""', set()),
        ("pkg/room/b.py", "How deep.", "How very deep.", set()),
        ("pkg/room/b.py", '"too large", where=x', 'f"{x} is too large", allowed=LIMIT', set()),
        ("pkg/room/b.py", 'log.info("%d", x)', 'log.warning("x is %d", x)', set()),
        ("pkg/room/b.py", "x: int, OTHER: int = 0) -> int", "x: float, OTHER=0) -> float", set()),
        ("pkg/room/b.py", 'Literal["a", "b"]', 'Literal["a", "b", "c"]', set()),
        ("pkg/room/b.py", "    if x > LIMIT:", "    # why\n    if (x\n        > LIMIT):", set()),
        # What is not reached: a parameter of the same name hides OTHER; c is imported, and has nothing that runs.
        ("pkg/room/b.py", "OTHER = 4", "OTHER = 5", set()),
        ("pkg/room/c.py", "return 3", "return 4", set()),
        ("pkg/room/a.py", "return c.three()", "return 7", set()),
        ("pkg/errors.py", "pass", "code = 1", set()),
    ],
)
def test_what_an_edit_changes(root, name, old, new, parts):
    assert changed(root, name, old, new) == parts


def test_statements_that_run_at_import_count_for_all_who_import(root):
    assert changed(root, "pkg/room/c.py", "def three", "import os\nos.umask(0)\n\n\ndef three") == {
        "pkg.room.c:(import)"
    }
    assert "pkg.room.a:apart" not in definitions(root)


def test_a_decorator_of_the_package_may_hand_a_function_to_others(root):
    (root / "pkg/room/c.py").write_text("from pkg.room.b import two\n\n\n@two\ndef three():\n    return 3\n")
    assert changed(root, "pkg/room/c.py", "return 3", "return 4") == {"pkg.room.c:(import)"}


def test_a_module_that_is_passed_on_counts_whole(root):
    (root / "script.py").write_text("from pkg.room import a\n\n\ndef main(args):\n    return getattr(a, args.x)()\n")
    assert {"pkg.room.a:one", "pkg.room.a:apart", "pkg.room.c:three"} <= set(definitions(root))


def test_imports_inside_functions_and_relative_ones_are_followed(root):
    (root / "script.py").write_text("def main(args):\n    import pkg.room.a\n    return pkg.room.a.one(args.x)\n")
    (root / "pkg/room/a.py").write_text(
        "from .b import two\nfrom . import c\n\n\ndef one(x):\n    return c.three(x)\n"
    )
    assert {"pkg.room.a:one", "pkg.room.c:three"} <= set(definitions(root))


def test_a_name_imported_by_way_of_a_package_is_found_where_it_is_defined(root):
    (root / "pkg/room/__init__.py").write_text("from pkg.room.a import one\n")
    (root / "script.py").write_text("from pkg.room import one\n\n\ndef main(args):\n    return one(args.x)\n")
    assert "pkg.room.a:one" in definitions(root)


def test_files_beside_the_code_count_for_who_opens_them(root):
    (root / "pkg/room/a.py").write_text(
        "from importlib.resources import files\n\n\ndef one(x):\n    return files('pkg.room') / 'page.txt'\n"
    )
    (root / "pkg/room/page.txt").write_text("a")
    before = definitions(root)
    assert "pkg.room:(files)" in before and "pkg.room:(files)" not in definitions(root, "choose.py")


def test_of_a_registry_only_what_the_job_picks_counts(root):
    everything = definitions(root, "choose.py")
    assert {"pkg.kinds:KINDS[ridge]", "pkg.kinds:KINDS[cnn]", "pkg.kinds:ridge", "pkg.kinds:cnn"} <= set(everything)
    told = definitions(root, "choose.py", KINDS=("cnn",))
    assert {"pkg.kinds:KINDS[cnn]", "pkg.kinds:cnn"} <= set(told)
    assert not {"pkg.kinds:KINDS[ridge]", "pkg.kinds:ridge"} & set(told)
    assert definitions(root, "fixed.py", KINDS=())["pkg.kinds:cnn"] == everything["pkg.kinds:cnn"]
    new = '"cnn": cnn, "gru": [3]'
    assert changed(root, "pkg/kinds.py", '"cnn": cnn', new, "choose.py", KINDS=("cnn",)) == set()
    assert changed(root, "pkg/kinds.py", "return 2", "return 3", "choose.py", KINDS=("cnn",)) == {"pkg.kinds:cnn"}


def test_star_imports_are_refused(root):
    (root / "pkg/room/a.py").write_text("from pkg.room.b import *\n")
    with pytest.raises(ValueError, match=r"import \*"):
        definitions(root)
