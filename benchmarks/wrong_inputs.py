"""How many spectra that are no stars a model flags, and how many good ones: the tables of docs/use-a-model.md.

python benchmarks/wrong_inputs.py results/demo atmosphere llm-patches demo --real FOLDER FOLDER

The good ones are test spectra of the model, read from the mock's files; the others are made (starglot.mock.not_stars)
or good ones with a mistake: wavelengths in air or in nanometres, cosmic rays, flux in other units, dead arms, others.
Each folder of real files is a row for each class that their headers state.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from astropy.io import fits
from scipy.ndimage import median_filter

from starglot.inference.flags import OF_SPECTRUM
from starglot.inference.load import REFUSED, Model
from starglot.mock.not_stars import NOT_STARS, not_stars
from starglot.surveys.lamost_spectrum import read_spectrum

Spectrum = tuple[np.ndarray, np.ndarray, np.ndarray]


def star(path: Path) -> Spectrum:
    """Wavelength, flux and error of a LAMOST file; error 0 where a pixel is masked."""
    raw = read_spectrum(path)
    good = (raw.mask == 0) & (raw.ivar > 0)
    return raw.wavelength, raw.flux, np.where(good, 1 / np.sqrt(np.where(good, raw.ivar, 1.0)), 0.0)


def in_air(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Vacuum wavelengths turned into those in air (Morton 2000, equation 8)."""
    s2 = (1e4 / wavelength) ** 2
    index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)
    return wavelength / index, flux, error


def struck(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray, number: int = 1) -> Spectrum:
    """Cosmic rays of up to three times the greatest flux, on pixels all over the range."""
    out = flux.copy()
    pixels = len(out) * np.arange(1, number + 1) // (number + 1)
    out[pixels] += flux.max() * np.linspace(3, 1, number)
    return wavelength, out, error


def ridden(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Forty cosmic rays."""
    return struck(wavelength, flux, error, 40)


def emitting(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Balmer lines in emission, half as high as the continuum and 6 A wide: a star that flares, or with a disc."""
    lines = sum(np.exp(-0.5 * ((wavelength - centre) / 2.5) ** 2) for centre in (4102.9, 4341.7, 4862.7, 6564.6))
    return wavelength, flux + 0.5 * np.median(flux) * lines, error


def per_frequency(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Flux per frequency, taken for flux per wavelength."""
    scale = (wavelength / 5500) ** 2
    return wavelength, flux * scale, error * scale


def magnitudes(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Magnitudes, taken for flux."""
    good = np.where(flux > 0, flux, np.nan)
    return wavelength, 25 - 2.5 * np.log10(good), 1.086 * error / good


def normalised(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Flux divided by its own continuum (running median of 400 pixels)."""
    around = median_filter(np.maximum(flux, 0), 401, mode="nearest") + 0.01 * np.median(flux)
    return wavelength, flux / around, error / around


def displaced(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """A wavelength solution that is off by 15 A."""
    return wavelength + 15.0, flux, error


def without_blue(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """No good pixel below 4700 A."""
    return wavelength, flux, np.where(wavelength < 4700, 0.0, error)


def half(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """No good pixel beyond 6200 A: half of the range."""
    return wavelength, flux, np.where(wavelength > 6200, 0.0, error)


def without_red(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """No good pixel beyond 7600 A."""
    return wavelength, flux, np.where(wavelength > 7600, 0.0, error)


def in_nanometres(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Wavelengths a tenth of what they are taken for."""
    return wavelength / 10, flux, error


MISTAKES: dict[str, Callable[..., Spectrum]] = {
    "star, wavelengths in nm without a unit": in_nanometres,
    "star, half of the range missing": half,
    "star, no flux beyond 7600 A": without_red,
    "star, no flux below 4700 A": without_blue,
    "star with a cosmic ray": struck,
    "star with 40 cosmic rays": ridden,
    "star with Balmer lines in emission": emitting,
    "star, flux per frequency without a unit": per_frequency,
    "star, magnitudes as flux": magnitudes,
    "star, flux divided by its continuum": normalised,
    "star, wavelengths off by 15 A": displaced,
    "star, wavelengths in air": in_air,
}


def real(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Files of each folder, apart by the class that their headers state; the folder named by its last two parts."""
    rows: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if ".fits" in path.suffixes):
            with fits.open(path, ignore_missing_simple=True) as units:
                names = [unit.name for unit in units]
                stated = units["SPECOBJ"].data["CLASS"][0] if "SPECOBJ" in names else units[0].header.get("CLASS", "")
            place = "/".join(folder.parts[-2:])
            rows.setdefault(f"{place}, {str(stated).strip().lower() or 'class not stated'}", []).append(path)
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("task")
    parser.add_argument("model")
    parser.add_argument("size")
    parser.add_argument("--number", type=int, default=200, help="spectra of each kind that is made")
    parser.add_argument("--limit", type=int, help="at most so many test spectra")
    parser.add_argument("--real", type=Path, nargs="*", default=(), metavar="FOLDER", help="folders of real files")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of old headers
    model = Model(given.results / "models" / given.task / given.model / given.size)
    sample = pq.read_table(given.results / f"samples/{given.task}/{given.size}.parquet").to_pandas()
    selected = ds.dataset(given.results / f"catalog/selected/{model.about['survey']}").to_table().to_pandas()
    files = selected.set_index("obsid")["file"][sample.obsid[sample.split == "test"].sort_values()]
    roots = [path.parents[2] for path in sorted((given.results / "mock").glob(f"**/{files.iloc[0]}"))]
    if not roots:
        parser.error(f"the spectra are not below {given.results}/mock")
    paths = [roots[0] / file for file in files][: given.limit]
    rows = {"star (test spectra)": [*paths]}
    rows |= {kind: [not_stars(kind, given.number, seed=1)] for kind in NOT_STARS}
    rows |= {name: [change(*star(path)) for path in paths] for name, change in MISTAKES.items()}
    rows |= real(given.real)
    print(f"| input | spectra | refused | {' | '.join(OF_SPECTRUM)} | at_limit | refused or flagged |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, spectra in rows.items():
        answered = model.answer(model.read(spectra))
        flags = [{flag for row in one.rows for flag in row["flags"].split(";")} for one in answered]
        refused = np.array([one.rows[0]["status"] == REFUSED for one in answered])
        raised = [np.mean([flag in each for each in flags]) for flag in (*OF_SPECTRUM, "at_limit")]
        caught = refused | np.array([bool(each - {""}) for each in flags])
        shown = " | ".join(f"{part:.0%}" for part in (refused.mean(), *raised, caught.mean()))
        print(f"| {name} | {len(answered)} | {shown} |")


if __name__ == "__main__":
    main()
