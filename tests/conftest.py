"""What every kind of test may use, and how tests share two workers."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of workflow tests go first and to one worker, as they share a run; every other file to any."""
    for item in items:
        workflow = item.get_closest_marker("workflow") is not None
        item.add_marker(pytest.mark.xdist_group("workflow" if workflow else str(item.path)))
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)


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
