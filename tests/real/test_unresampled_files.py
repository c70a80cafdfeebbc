"""Recipes without resampling on real files: a stored row is the file's own pixels, by astropy and numpy alone."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from scipy.interpolate import CubicSpline
from test_lamost_spectra import astropy_arrays

from starglot.config.root import Recipe, Wavelength
from starglot.inference.single import read_singles
from starglot.spectra.clean import clean
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.lamost_spectrum import read_spectrum

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def files(real_files: Path) -> list[Path]:
    found = sorted((real_files / "lamost").rglob("*.fits*"))
    if not found:
        pytest.skip("no real LAMOST spectra beside the checkout (../shared/real/lamost)")
    return found


@pytest.fixture(scope="module")
def recipe(project: Path) -> Recipe:
    """The one that the documentation gives for LAMOST."""
    page = (project / "docs/patch-tokens.md").read_text()
    (overlay,) = re.findall(r"^```yaml overlay\n(.*?)^```$", page, re.M | re.S)
    return Recipe.model_validate(yaml.safe_load(overlay)["recipes"]["native"])


def test_rows_are_the_files_own_pixels(files: list[Path], recipe: Recipe) -> None:
    size, first, outcomes = recipe.wavelength.size, 118, Counter[str]()
    for path in files:
        raw = astropy_arrays(path)
        good = (raw["ORMASK"] == 0) & (raw["IVAR"] > 0)
        try:
            row, masked = clean(read_spectrum(path), recipe)
        except SpectrumRejected as why:
            outcomes[why.reason] += 1
            assert why.reason in ("range_not_covered", "too_few_good_pixels", "no_good_pixel"), path
            continue
        outcomes["cleaned"] += 1
        here = slice(first, first + size)
        own = raw["WAVELENGTH"][here]
        assert abs(own[0] - recipe.wavelength.start) < 5e-3 and abs(own[-1] - recipe.wavelength.stop) < 5e-3
        relative = raw["FLUX"] / raw["FLUX"][good].max()
        expected, kept = 1000 * relative[here], good[here]
        np.testing.assert_array_equal(row[kept], np.round(expected[kept]), err_msg=path.name)
        assert masked == (~good).sum()
        # And the masked ones are what the rule says of them, at their own wavelengths.
        x, y = raw["WAVELENGTH"][good], 1000 * relative[good]
        filled = CubicSpline(x, y)(own)
        after = np.searchsorted(x, own).clip(1, len(x) - 1)
        straight = (x[after] - x[after - 1] > recipe.max_gap) | (own < x[0]) | (own > x[-1])
        filled[straight] = np.interp(own, x, y)[straight]
        assert np.abs(row - filled)[~kept].max(initial=0) <= 0.5 + 1e-3, path.name
    print(dict(outcomes))
    assert outcomes["cleaned"] > 150


def test_shifted_pixels_are_rejected_and_not_resampled(files: list[Path], recipe: Recipe) -> None:
    for path in files[::20]:
        raw = read_spectrum(path)
        for factor in (1 + 30 / 299792, 10**5e-5, 0.9997):
            with pytest.raises(SpectrumRejected) as why:
                clean(replace(raw, wavelength=raw.wavelength * factor), recipe)
            assert why.value.reason == "other_pixels" and "of the grid" in why.value.detail


def test_files_of_sdss_have_these_pixels_and_desis_have_their_own(real_files: Path, recipe: Recipe) -> None:
    for path in sorted((real_files / "sdss").glob("*.fits")):
        (single,) = read_singles(path, recipe)
        assert single.flux is not None, (path.name, single.problem)
        with fits.open(path) as hdus:
            table = hdus[1].data
            good = (table["and_mask"] == 0) & (table["ivar"] > 0)
            at = np.round((np.array(table["loglam"], float) - 3.58) / 1e-4).astype(int)
            flux = np.array(table["flux"], float)
        here = (at >= 0) & (at < recipe.wavelength.size) & good
        np.testing.assert_array_equal(single.flux[at[here]], np.round(1000 * (flux / flux[good].max())[here]))
    desi = Wavelength.model_validate({"start": 3600, "stop": 9824, "step": 0.8})
    own = recipe.model_copy(update={"wavelength": desi})
    for path in sorted((real_files / "desi_coadds").glob("coadd*.fits")):
        read = read_singles(path, recipe)
        assert read and {single.reason for single in read} == {"other_pixels"}
        assert all(single.reason != "other_pixels" for single in read_singles(path, own))
