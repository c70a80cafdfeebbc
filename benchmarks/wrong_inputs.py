"""How many spectra that are no stars a model flags, and how many good ones: the table of docs/use-a-model.md.

python benchmarks/wrong_inputs.py results/demo atmosphere ridge demo

The good ones are test spectra of the model, read from the mock's files; the others are made (starglot.mock.not_stars)
or good ones with a mistake: wavelengths in air or in nanometres, a cosmic ray, a dead red arm.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq

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


def struck(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """A cosmic ray of three times the greatest flux."""
    out = flux.copy()
    out[len(out) // 2] = 3 * flux.max()
    return wavelength, out, error


def without_red(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """No good pixel beyond 7600 A."""
    return wavelength, flux, np.where(wavelength > 7600, 0.0, error)


def in_nanometres(wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> Spectrum:
    """Wavelengths a tenth of what they are taken for."""
    return wavelength / 10, flux, error


MISTAKES: dict[str, Callable[..., Spectrum]] = {
    "star, wavelengths in nm without a unit": in_nanometres,
    "star, no flux beyond 7600 A": without_red,
    "star with a cosmic ray": struck,
    "star, wavelengths in air": in_air,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("task")
    parser.add_argument("model")
    parser.add_argument("size")
    parser.add_argument("--number", type=int, default=200, help="spectra of each kind that is made")
    given = parser.parse_args()
    model = Model(given.results / "models" / given.task / given.model / given.size)
    sample = pq.read_table(given.results / f"samples/{given.task}/{given.size}.parquet").to_pandas()
    selected = ds.dataset(given.results / f"catalog/selected/{model.about['survey']}").to_table().to_pandas()
    files = selected.set_index("obsid")["file"][sample.obsid[sample.split == "test"].sort_values()]
    roots = [path.parents[2] for path in sorted((given.results / "mock").glob(f"**/{files.iloc[0]}"))]
    if not roots:
        parser.error(f"the spectra are not below {given.results}/mock")
    paths = [roots[0] / file for file in files]
    rows = {"star (test spectra)": [*paths]}
    rows |= {kind: [not_stars(kind, given.number, seed=1)] for kind in NOT_STARS}
    rows |= {name: [change(*star(path)) for path in paths] for name, change in MISTAKES.items()}
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
