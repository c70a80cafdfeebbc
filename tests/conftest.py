"""What every kind of test may use, and how tests are shared out to processes."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# How long an example takes is the machine's affair.
hypothesis.settings.register_profile("starglot", deadline=None)
hypothesis.settings.load_profile("starglot")

PROJECT = Path(__file__).resolve().parents[1]
#: What takes minutes, longest first.  A folder's tests share a project, and one process runs them all; those of a
#: file named by itself, in such a folder too, have projects of their own and are apart from the others.
LONG = (
    "workflow",
    "slurm/test_training.py",
    "slurm/test_jobs.py",
    "workflow/test_docs_commands.py",
    "workflow/test_recovery.py",
    "workflow/test_begun.py",
    "workflow/test_lines.py",
    "workflow/test_retention_plan.py",
    "workflow/test_redshift_plan.py",
    "workflow/test_pairs_plan.py",
    "workflow/test_transfer_plan.py",
)


def _scope(path: Path) -> str:
    """What one process runs: a file, or a whole folder of :data:`LONG`."""
    file = f"{path.parent.name}/{path.name}"
    return path.parent.name if file not in LONG and path.parent.name in LONG else file


class Scheduler(LoadScopeScheduling):
    """Gives a process a :func:`_scope` at a time.

    pytest-xdist (3.8) has no public hook for what belongs together; ``contract/test_private_interfaces.py`` looks
    whether this one is still called.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _scope(Path(nodeid.split("::")[0]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    """The hook of pytest-xdist, asked where ``--numprocesses`` is given."""
    config.option.loadscopereorder = False
    return Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first."""
    items.sort(key=lambda item: LONG.index(_scope(item.path)) if _scope(item.path) in LONG else len(LONG))


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
