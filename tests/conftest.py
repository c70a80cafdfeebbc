"""What every kind of test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


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
