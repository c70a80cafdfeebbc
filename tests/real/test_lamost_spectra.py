"""Real LAMOST spectra of five releases against a plain reading with astropy and scipy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from scipy.interpolate import CubicSpline

from starglot.config.root import Recipe, Wavelength
from starglot.spectra.shard import clean_shard
from starglot.surveys.lamost_spectra import read
from starglot.surveys.lamost_spectrum import read_spectrum
from starglot.tables import SELECTED, flux_matrix

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore")]

RECIPES = {
    "paper": Recipe(),
    "short": Recipe(wavelength=Wavelength(start=4300, stop=8600), normalisation="median"),
    "linear": Recipe(wavelength=Wavelength(start=4000, stop=8000, step=2.5), interpolation="linear", mask_bits=[0]),
    "strict": Recipe(max_gap=5.0, max_edge=0.0, min_good=0.95, normalisation="p99"),
}


@pytest.fixture(scope="module")
def files(real_files: Path) -> list[Path]:
    found = sorted((real_files / "lamost").rglob("*.fits*"))
    if not found:
        pytest.skip("no real LAMOST spectra beside the checkout (../shared/real/lamost)")
    return found


def astropy_arrays(path: Path) -> dict[str, np.ndarray]:
    with fits.open(path) as hdus:
        header = hdus[0].header
        if "COADD" in hdus:
            row = hdus["COADD"].data[0]
            return {k: np.array(row[k], float) for k in ("FLUX", "IVAR", "WAVELENGTH", "ORMASK")}
        flux, ivar, third, _, ormask = np.array(hdus[0].data, float)
        if "Subcontinuum" in header["EXTEN0"]:
            third = 10 ** (header["COEFF0"] + header["COEFF1"] * np.arange(header["NAXIS1"]))
        return {"FLUX": flux, "IVAR": ivar, "WAVELENGTH": third, "ORMASK": ormask}


def plain_cleaning(path: Path, recipe: Recipe) -> np.ndarray | str:
    """The stored row, or the reason why there is none, by the book."""
    raw = astropy_arrays(path)
    bits = range(32) if recipe.mask_bits == "all" else recipe.mask_bits
    masked = np.any([raw["ORMASK"].astype(int) >> bit & 1 for bit in bits], axis=0)
    masked |= ~(raw["IVAR"] > 0)
    x, y = raw["WAVELENGTH"][~masked], raw["FLUX"][~masked]
    grid = np.arange(recipe.wavelength.size) * recipe.wavelength.step + recipe.wavelength.start
    if not len(x):
        return "no_good_pixel"
    if x[0] > grid[0] + recipe.max_edge or x[-1] < grid[-1] - recipe.max_edge:
        return "range_not_covered"
    inside = (raw["WAVELENGTH"] >= grid[0]) & (raw["WAVELENGTH"] < grid[-1])
    if (inside & ~masked).sum() < recipe.min_good * inside.sum():
        return "too_few_good_pixels"
    scale = {"max": np.max, "median": np.median, "p99": lambda v: np.percentile(v, 99)}[recipe.normalisation](y)
    if scale <= 0:
        return "not_positive"
    y = y / scale
    value = CubicSpline(x, y)(grid) if recipe.interpolation == "cubic" else np.interp(grid, x, y)
    for left, right in zip(range(len(x) - 1), range(1, len(x)), strict=True):
        if x[right] - x[left] > recipe.max_gap:
            gap = (grid > x[left]) & (grid < x[right])
            value[gap] = np.interp(grid[gap], [x[left], x[right]], [y[left], y[right]])
    value[grid < x[0]], value[grid > x[-1]] = y[0], y[-1]
    if np.abs(value).max() > 32:
        return "out_of_int16"
    return np.array([round(1000 * v) for v in value])  # Python rounds halves to even


def test_arrays_are_those_of_astropy_bit_for_bit(files: list[Path]) -> None:
    for path in files:
        raw, truth = read_spectrum(path), astropy_arrays(path)
        np.testing.assert_array_equal(raw.flux, truth["FLUX"], err_msg=path.name)
        np.testing.assert_array_equal(raw.ivar, truth["IVAR"], err_msg=path.name)
        np.testing.assert_array_equal(raw.wavelength, truth["WAVELENGTH"], err_msg=path.name)
        np.testing.assert_array_equal(raw.mask, truth["ORMASK"], err_msg=path.name)


@pytest.mark.parametrize("name", RECIPES)
def test_every_file_is_cleaned_to_the_last_decimal_or_rejected_for_a_true_reason(
    name: str, files: list[Path], real_files: Path
) -> None:
    recipe = RECIPES[name]
    root = real_files / "lamost"
    paths = files if name == "paper" else files[::4]
    rows = [
        {"obsid": i, "star_id": f"star {i}", "file": str(path.relative_to(root)), "row": 0}
        for i, path in enumerate(paths)
    ]
    spectra, rejected = clean_shard(pa.Table.from_pylist(rows, schema=SELECTED), root, recipe, read)
    flux = dict(zip(spectra["obsid"].to_pylist(), flux_matrix(spectra), strict=True))
    reasons = dict(zip(rejected["obsid"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
    assert sorted([*flux, *reasons]) == list(range(len(paths)))
    for i, path in enumerate(paths):
        expected = plain_cleaning(path, recipe)
        if isinstance(expected, str):
            assert reasons.get(i) == expected, path
        else:
            np.testing.assert_array_equal(flux.get(i), expected, err_msg=str(path))
    print(f"{name}: {len(flux)} cleaned, rejected {dict(Counter(reasons.values()))}")
    assert flux and ("paper" not in name or len(flux) > 100)
