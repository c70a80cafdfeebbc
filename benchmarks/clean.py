"""How fast a shard is cleaned, against the plain loop: astropy opens each file, scipy's CubicSpline resamples it.

    python benchmarks/clean.py [--spectra 400] [--rounds 3] [--folder DIR]

Without --folder it writes gzipped COADD tables like LAMOST DR10's (3909 pixels, a header of 120 cards, some masked
pixels) to a temporary folder; with it, it takes the COADD tables below that folder.  Both ways run in processes of
their own, in turns, on one core; the best round of each counts.  Rows must come out equal.
"""

from __future__ import annotations

import argparse
import gzip
import io
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

N_PIXELS = 3909


def write_spectra(folder: Path, count: int, seed: int = 0) -> None:
    """Spectra of smooth continua with absorption lines, noise, and now and then a few masked pixels."""
    from astropy.io import fits

    rng = np.random.default_rng(seed)
    wavelength = (10 ** (3.5682 + 1e-4 * np.arange(N_PIXELS))).astype(np.float32)
    at = np.linspace(-1, 1, N_PIXELS)
    for index in range(count):
        flux = 500 * (1.2 + rng.uniform(-0.8, 0.8) * at - 0.3 * at**2)
        for centre, depth, width in rng.uniform([-1, 0, 0.001], [1, 0.5, 0.004], (60, 3)):
            flux *= 1 - depth * np.exp(-0.5 * ((at - centre) / width) ** 2)
        flux += rng.normal(0, 8, N_PIXELS)
        mask = np.zeros(N_PIXELS)
        for start in rng.integers(200, 3500, rng.integers(0, 4)):
            mask[start : start + rng.integers(1, 6)] = 1
        ivar = np.where(mask > 0, 0, 1 / 64)
        vectors = {"FLUX": flux, "IVAR": ivar, "WAVELENGTH": wavelength, "ANDMASK": 0 * mask, "ORMASK": mask}
        vectors["NORMALIZATION"] = flux / 500
        primary = fits.PrimaryHDU()
        for card in range(120):
            primary.header[f"KEY{card}"] = (rng.normal(), "one of the many cards of a LAMOST header")
        columns = [
            fits.Column(name=name, format=f"{N_PIXELS}E", array=values[None].astype(np.float32))
            for name, values in vectors.items()
        ]
        buffer = io.BytesIO()
        fits.HDUList([primary, fits.BinTableHDU.from_columns(columns, name="COADD")]).writeto(buffer)
        (folder / f"spec-{index:05d}.fits.gz").write_bytes(gzip.compress(buffer.getvalue(), 6, mtime=0))


def plain(root: Path, names: list[str], grid: tuple[float, float, float]) -> dict[int, np.ndarray]:
    """The loop that anyone would write."""
    from astropy.io import fits
    from scipy.interpolate import CubicSpline

    at = np.arange(grid[0], grid[1] + 0.5 * grid[2], grid[2])
    rows = {}
    for index, name in enumerate(names):
        with fits.open(root / name) as hdus:
            row = hdus["COADD"].data[0]
            flux, ivar, wavelength, ormask = (
                row[key].astype(float) for key in ("FLUX", "IVAR", "WAVELENGTH", "ORMASK")
            )
        good = (ormask == 0) & (ivar > 0)
        normalised = flux[good] / flux[good].max()
        rows[index] = np.rint(1000 * CubicSpline(wavelength[good], normalised)(at)).astype(np.int16)
    return rows


def starglot(root: Path, names: list[str], grid: tuple[float, float, float]) -> dict[int, np.ndarray]:
    """The same through starglot.spectra.shard."""
    import pyarrow as pa

    from starglot.config.root import Recipe, Wavelength
    from starglot.spectra.shard import clean_shard
    from starglot.surveys.lamost_spectra import read
    from starglot.tables import SELECTED, flux_matrix

    selected = [{"obsid": index, "star_id": "", "file": name, "row": 0} for index, name in enumerate(names)]
    recipe = Recipe(wavelength=Wavelength(start=grid[0], stop=grid[1], step=grid[2]))
    spectra, _ = clean_shard(pa.Table.from_pylist(selected, schema=SELECTED), root, recipe, read)
    return dict(zip(spectra["obsid"].to_pylist(), flux_matrix(spectra), strict=True))


Way = Callable[[Path, list[str], tuple[float, float, float]], dict[int, np.ndarray]]


def measure(way: Way, root: Path, names: list[str], grid: tuple[float, float, float]) -> tuple[float, int, dict]:
    """CPU seconds, kB of memory beyond the libraries (which a first call on a few files loads), and the rows."""
    way(root, names[:3], grid)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    rows = way(root, names, grid)
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=400, help="how many files (default 400)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of this many counts (default 3)")
    parser.add_argument("--folder", type=Path, help="COADD tables to read instead of synthetic ones")
    parser.add_argument("--grid", type=float, nargs=3, default=(3800, 8700, 1), metavar=("START", "STOP", "STEP"))
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        root = args.folder or Path(temporary)
        if args.folder is None:
            write_spectra(root, args.spectra)
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*.fits*"))[: args.spectra]
        best: dict[str, tuple[float, int]] = {}
        rows: dict[str, dict[int, np.ndarray]] = {}
        for _ in range(args.rounds):
            for way in (plain, starglot):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    seconds, kilobytes, rows[way.__name__] = pool.apply(measure, (way, root, names, tuple(args.grid)))
                best[way.__name__] = min(best.get(way.__name__, (seconds, kilobytes)), (seconds, kilobytes))
    for name, (seconds, kilobytes) in best.items():
        speed = len(names) / seconds
        print(f"{name:9}{speed:8.0f} spectra per CPU second, {kilobytes / 1024:5.1f} MB beyond its libraries")
    both = rows["starglot"].keys() & rows["plain"].keys()
    equal = sum(np.array_equal(rows["starglot"][index], rows["plain"][index]) for index in both)
    print(f"ratio {best['plain'][0] / best['starglot'][0]:.1f}; {equal} of {len(names)} rows equal")


if __name__ == "__main__":
    main()
