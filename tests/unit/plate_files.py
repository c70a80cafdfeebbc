"""LAMOST files of one plate, whole and broken, and the selection that names them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io import fits

from starglot.config.root import Recipe, Wavelength
from starglot.tables import SELECTED

RECIPE = Recipe(wavelength=Wavelength(start=3800, stop=3900, step=1))
KINDS = ("good", "masked", "cut", "nan", "negative", "missing", "no path")


def write(path: Path, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wavelength = 10 ** (3.5682 + 1e-4 * np.arange(400))
    flux, ivar, mask = 100 + rng.normal(size=400), np.ones(400), np.zeros(400)
    if kind == "masked":
        mask[:] = 1
    elif kind == "nan":
        flux[200] = np.nan
    elif kind == "negative":
        flux -= 500
    arrays = {"FLUX": flux, "IVAR": ivar, "WAVELENGTH": wavelength, "ORMASK": mask}
    columns = [fits.Column(name=name, format="400E", array=array[None]) for name, array in arrays.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_suffix(".tmp")
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")]).writeto(
        plain, overwrite=True
    )
    packed = gzip.compress(plain.read_bytes(), 1)
    plain.unlink()
    path.write_bytes(packed[: len(packed) // 2] if kind == "cut" else packed)


def selection(kinds: list[str]) -> pa.Table:
    rows = [
        {
            "obsid": 10**15 + 7 * i,
            "star_id": f"gaia:{i // 2}",
            "row": 0,
            "file": None if kind == "no path" else f"20170904/P/{kind}-{i % 3}.fits.gz",
        }
        for i, kind in enumerate(kinds)
    ]
    return pa.Table.from_pylist(rows, schema=SELECTED)
