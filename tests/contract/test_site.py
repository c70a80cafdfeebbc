"""The documentation as web pages: it builds without a warning, with every page and the public interface in it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import starglot
from starglot.__main__ import COMMANDS


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    needed = ("sphinx", "myst_parser", "furo")
    if not all(find_spec(name) for name in needed) and not os.environ.get("CI"):
        pytest.skip(f"not installed: one of {', '.join(needed)} (make setup)")
    out = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        out / "trees",
        project / "docs",
        out / "site",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / "site"


def test_every_page_is_in_the_site_and_in_its_contents(project: Path, site: Path) -> None:
    contents = (site / "index.html").read_text()
    docs = project / "docs"
    pages = {str(page.relative_to(docs).with_suffix("")) for page in docs.rglob("*.md")} - {"index"}
    assert {name for name in pages if not (site / f"{name}.html").is_file()} == set()
    assert {name for name in pages if f'href="{name}.html' not in contents} == set()


def test_what_users_call_is_documented_from_its_docstrings(site: Path) -> None:
    page = (site / "api.html").read_text()
    for name in ("starglot.load", "starglot.inference.load.Model.predict", "starglot.errors.StarglotError"):
        assert f'id="{name}"' in page, name
    said = (starglot.load.__doc__ or "").splitlines()[0].partition(" (")[0]
    assert said in page


def test_every_command_stands_on_its_page(project: Path) -> None:
    page = (project / "docs/commands.md").read_text()
    shown = {line.split()[2].strip("`") for line in page.splitlines() if line.startswith("| `starglot ")}
    assert shown == set(COMMANDS)
