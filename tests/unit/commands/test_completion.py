"""Completion in a shell: what is offered after the Tab key, by the shell itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from starglot.__main__ import COMMANDS

if find_spec("shtab") is None and not os.environ.get("CI"):
    pytest.skip("shtab is not installed (make setup)", allow_module_level=True)


def script(shell: str) -> str:
    command = [sys.executable, "-m", "starglot", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "starglot.bash"
    path.write_text(script("bash"))
    return path


def offered(bash: Path, *words: str, cwd: Path | None = None) -> set[str]:
    """What bash offers for the last of the words."""
    program = (
        f"source {bash}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
        "$(complete -p starglot | sed 's/.*-F \\([^ ]*\\).*/\\1/') starglot "
        f"{words[-1]!r} {words[-2]!r}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {line.strip() for line in done.stdout.splitlines() if line.strip()}


def test_commands_are_offered(bash: Path) -> None:
    assert set(COMMANDS) <= offered(bash, "starglot", "")
    assert offered(bash, "starglot", "pre") == {"predict"}


def test_options_of_a_command_are_offered(bash: Path) -> None:
    assert {"--model", "--out", "--wide"} <= offered(bash, "starglot", "predict", "--")
    assert offered(bash, "starglot", "plan", "--tf") == {"--tflops"}


def test_files_are_offered_where_a_file_is_wanted(bash: Path, tmp_path: Path) -> None:
    (tmp_path / "spectrum.fits").touch()
    assert "spectrum.fits" in offered(bash, "starglot", "predict", "spec", cwd=tmp_path)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh on this machine")
def test_the_script_for_zsh_is_one_of_zsh(tmp_path: Path) -> None:
    (tmp_path / "_starglot").write_text(script("zsh"))
    subprocess.run(["zsh", "-n", tmp_path / "_starglot"], check=True)


def test_another_shell_is_not_understood() -> None:
    done = subprocess.run([sys.executable, "-m", "starglot", "completion", "fish"], capture_output=True, text=True)
    assert done.returncode == 2 and "bash" in done.stderr
