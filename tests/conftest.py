"""What every kind of test may use, and how tests share two workers."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workflow tests share a run: they go first and to one worker.  So do those on Slurm; every other file to any."""
    shared = ("slurm", "workflow")
    for item in items:
        group = next((name for name in shared if item.get_closest_marker(name)), str(item.path))
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in shared))


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the repository."""
    return PROJECT


@pytest.fixture(scope="session")
def real_files() -> Path:
    """Folder of real survey files kept beside the checkout; skips the test where it is absent."""
    folder = PROJECT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("no real survey files beside the checkout (../shared/real)")
    return folder
