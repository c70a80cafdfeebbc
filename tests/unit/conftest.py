"""What several unit tests build on, made once."""

import pytest
from report_results import write_results


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory):
    """A results folder with a small run of every part that the report reads; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("results")
    write_results(folder)
    return folder
