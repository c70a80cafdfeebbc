"""What several unit tests build on, made once."""

import pytest
from baseline_spectra import linear_survey
from report_results import write_results


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory):
    """A results folder with a small run of every part that the report reads; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("results")
    write_results(folder)
    return folder


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey whose flux is linear in the labels, in files."""
    return linear_survey(tmp_path_factory.mktemp("survey"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Folder of a small language model with random weights."""
    from starglot.config.bases.random import RandomBase
    from starglot.training.random_base import make_random_base

    folder = tmp_path_factory.mktemp("base")
    make_random_base(RandomBase(kind="random", hidden=64, layers=2, heads=2), folder)
    return folder
