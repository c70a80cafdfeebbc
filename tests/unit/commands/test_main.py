"""The `starglot` command: its commands, its words, its exit status."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from starglot.__main__ import COMMANDS


def starglot(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "starglot", *arguments], capture_output=True, text=True, cwd=cwd)


def test_the_installed_command_is_this_one(request: pytest.FixtureRequest) -> None:
    declared = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = declared["starglot"].partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_page_of_its_own(name: str) -> None:
    done = starglot(name, "--help")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 2 and not done.stderr
    assert name in starglot("--help").stdout


@pytest.mark.parametrize(("given", "status"), [((), 2), (("--help",), 0), (("predcit",), 2), (("check",), 2)])
def test_what_is_not_understood_ends_with_2(given: tuple[str, ...], status: int) -> None:
    done = starglot(*given)
    assert done.returncode == status and "usage" in (done.stdout + done.stderr)
    assert "Traceback" not in done.stderr


def test_what_cannot_be_done_ends_with_1_and_a_sentence(tmp_path: Path) -> None:
    done = starglot("check", "nowhere.yaml", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr
