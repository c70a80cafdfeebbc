"""What every kind of test may use, and how tests are shared out to processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

PROJECT = Path(__file__).resolve().parents[1]
#: Folders whose tests share a project: one process runs all of a folder's.  They are the longest, and go first.
TOGETHER = ("slurm", "workflow")


def _folder(nodeid: str) -> str:
    return nodeid.split("/")[1]


class Scheduler(LoadScopeScheduling):
    """Gives a process a file of tests at a time, or a whole folder of :data:`TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        return _folder(nodeid) if _folder(nodeid) in TOGETHER else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    """The hook of pytest-xdist, asked where ``--numprocesses`` is given."""
    config.option.loadscopereorder = False
    return Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first."""
    items.sort(key=lambda item: _folder(item.nodeid) not in TOGETHER)


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
