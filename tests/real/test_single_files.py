"""Real files by themselves, as `starglot predict` is given them: a spectrum, or a sentence why not, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from starglot.config.recipes import Recipe
from starglot.inference.single import read_singles

pytestmark = pytest.mark.real

#: Folder -> whose files they are, and how many of them reach over the paper's range.
SURVEYS = {
    "lamost/dr10_coadd": ("lamost", 13),
    "lamost/dr7_image": ("lamost", 109),
    "lamost/dr1_image": ("lamost", 89),
    "lamost/odd": ("lamost", 2),
    "sdss": ("sdss", 4),
}


@pytest.mark.parametrize("folder", SURVEYS)
def test_surveys_are_recognised_and_cleaned(real_files: Path, folder: str) -> None:
    survey, usable = SURVEYS[folder]
    read = [
        single for path in sorted((real_files / folder).glob("*.fits")) for single in read_singles(path, Recipe())
    ]
    assert read and {single.survey for single in read} == {survey}
    assert sum(single.flux is not None for single in read) == usable
    assert all(single.flux is not None or single.problem for single in read)


#: Folder -> how many of the spectra in its files of many reach over the paper's range, and how many do not.
MANY = {"desi": (2, 3), "desi_coadds": (2, 0), "gaia_xp_archive": (4, 0)}


@pytest.mark.parametrize("folder", MANY)
def test_each_spectrum_of_a_file_of_many_has_a_row_or_a_reason(real_files: Path, folder: str) -> None:
    paths = [path for path in sorted((real_files / folder).glob("*.fits")) if not path.name.startswith("redrock")]
    read = [single for path in paths for single in read_singles(path, Recipe())]
    assert {single.survey for single in read} == {"gaia_xp" if "gaia" in folder else "desi"}
    assert all(single.name for single in read)
    refused = [single for single in read if single.flux is None]
    assert (len(read) - len(refused), len(refused)) == MANY[folder] and all(single.problem for single in refused)


@pytest.mark.parametrize("folder", ["desi_coadds", "gaia_xp", "gaia_xp_archive", "apogee", "galah", "catalogs"])
def test_what_is_no_single_spectrum_is_refused_in_words(real_files: Path, folder: str) -> None:
    paths = [path for path in sorted((real_files / folder).iterdir()) if path.is_file()]
    if folder in MANY:  # the others are read, above
        paths = [path for path in paths if path.suffix != ".fits" or path.name.startswith("redrock")]
    assert paths
    for path in paths:
        (single,) = read_singles(path, Recipe())
        assert single.flux is None and single.problem, path
