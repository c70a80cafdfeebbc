"""What every kind of test may use, and in which order tests run."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# How long an example takes is the machine's affair.
hypothesis.settings.register_profile("starglot", deadline=None)
hypothesis.settings.load_profile("starglot")

PROJECT = Path(__file__).resolve().parents[1]
#: Files whose tests take minutes, longest first: a process runs a file (`make test`).  First one that makes the mini,
#: which the others of its folder then copy, and two that need none.
LONG = (
    "workflow/test_mini.py",
    "slurm/test_training.py",
    "workflow/test_docs_commands.py",
    "slurm/test_edited_code.py",
    "workflow/test_rebuilds.py",
    "slurm/test_jobs.py",
    "workflow/test_folders.py",
    "training/test_training_begun.py",
    "workflow/test_code.py",
    "workflow/test_doors.py",
    "slurm/test_survey.py",
    "contract/test_lint.py",
    "inference/test_patch_llm.py",
    "workflow/test_begun.py",
    "workflow/test_carried.py",
    "workflow/test_bad_input.py",
    "workflow/test_recovery.py",
    "workflow/test_lines.py",
    "inference/test_digit_answers.py",
    "training/test_training_processes.py",
    "surveys/test_surveys_finished.py",
    "workflow/test_planning.py",
    "training/test_training_finetune.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, then the rest of the folders that make projects."""

    def place(item: pytest.Item) -> int:
        file = f"{item.path.parent.name}/{item.path.name}"
        return LONG.index(file) if file in LONG else len(LONG) + (item.path.parent.name != "workflow")

    items.sort(key=place)


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
