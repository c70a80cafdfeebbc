"""What is published stands by itself: no trace of one workplace, no half-done work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

# Written in pieces, so that this file does not find itself.
ELSEWHERE = [
    "/wo" + "rk/",
    "/op" + "t/",
    "/tm" + "p/",
    "/ro" + "ot/",
    "sub" + "agent",
    "pypi." + "org",
    "pythonhos" + "ted",
]
UNDONE = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]


@pytest.fixture(scope="module")
def texts(project: Path) -> dict[str, str]:
    """Path -> text of every file that is, or would be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the list of published files is unknown")
    found: dict[str, str] = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = project / name
        if path.is_file() and not path.is_symlink():
            raw = path.read_bytes()
            if b"\0" not in raw:
                found[name] = raw.decode("utf-8")
    return found


def test_no_paths_or_hosts_of_one_machine(texts: dict[str, str]) -> None:
    hits = [f"{name}: {word}" for name, text in texts.items() for word in ELSEWHERE if word in text]
    assert hits == []


def test_nothing_is_left_undone(texts: dict[str, str]) -> None:
    word = re.compile(r"\b(" + "|".join(UNDONE) + r")\b")
    code = {
        name: text for name, text in texts.items() if name.endswith((".py", ".smk", ".sh", "Snakefile", "Makefile"))
    }
    assert [f"{name}: {hit}" for name, text in code.items() for hit in word.findall(text)] == []


def test_no_source_file_is_too_long_to_read(texts: dict[str, str]) -> None:
    code = {name: text for name, text in texts.items() if name.endswith((".py", ".smk", "Snakefile"))}
    assert {name: n for name, text in code.items() if (n := text.count("\n")) > 420} == {}
