"""What every kind of test may use, and how tests are shared out to processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

PROJECT = Path(__file__).resolve().parents[1]
#: Folders whose tests share a project: one process runs all of a folder's.  They are the longest, and go first.
TOGETHER = ("slurm", "workflow")
#: Files there that share nothing: a process of their own runs them, next.
APART = ("test_recovery.py",)


def _shares(path: Path) -> bool:
    return path.parent.name in TOGETHER and path.name not in APART


class Scheduler(LoadScopeScheduling):
    """Gives a process a file of tests at a time, or a whole folder of :data:`TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::")[0])
        return path.parent.name if _shares(path) else str(path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    """The hook of pytest-xdist, asked where ``--numprocesses`` is given."""
    config.option.loadscopereorder = False
    return Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first."""
    items.sort(key=lambda item: (not _shares(item.path), item.path.parent.name not in TOGETHER))


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
