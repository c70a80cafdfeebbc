"""What is run by hand and seldom still runs: benchmarks' imports, and the one that waits for a GPU."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((PROJECT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_it_takes_of_the_package_is_there(script: Path) -> None:
    taken = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "starglot"
        for alias in node.names
    ]
    missing = []
    for module, name in taken:
        if not hasattr(importlib.import_module(module), name):
            try:
                importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                missing.append(f"{module}.{name}")
    assert missing == []


@pytest.mark.slow
def test_steps_on_a_gpu_are_measured_without_one_at_a_tiny_shape(tmp_path: Path) -> None:
    given = ["--shape", "tiny", "--form", "patches", "packed", "--quantisation", "nf4", "--seconds", "0"]
    command = [sys.executable, "benchmarks/gpu.py", *given, "--out", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr[-3000:]
    cases = json.loads((tmp_path / "gpu.json").read_text())["cases"]
    assert [case["form"] for case in cases] == ["patches", "packed"]
    assert all("failed" not in case and case["spectra_per_s"] > 0 for case in cases)
