"""What `make lint` asks for holds: the Makefile's commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
_TARGET = re.search(r"^lint:.*\n((?:\t@.*\n?)+)", (PROJECT / "Makefile").read_text(), re.M)
assert _TARGET is not None
COMMANDS = [line.strip().lstrip("@").replace("$(DEMO)", "config/demo.yaml") for line in _TARGET[1].splitlines()]
#: Afresh, mypy takes a minute.
SLOW = ("mypy", "--lint")


@pytest.mark.parametrize(
    "command",
    [pytest.param(line, marks=[pytest.mark.slow] if any(tool in line for tool in SLOW) else []) for line in COMMANDS],
)
def test_is_clean(command: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=PROJECT, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert not done.returncode, done.stdout + done.stderr
