"""DESI's files of the Milky Way Survey, as its releases have them: coadds by healpix and the catalogue mwsall."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from starglot.tables import atomic_path

SURVEY, PROGRAM = "main", "bright"
#: First wavelength (A) and pixels of each arm, in steps of 0.8 A.
ARMS = {"B": (3600.0, 2751), "R": (5760.0, 2326), "Z": (7520.0, 2881)}
#: Sky fibres of a file.
_SKY = 5


def arm_pixels(arm: str) -> np.ndarray:
    """Wavelengths (A) of an arm's pixels."""
    start, size = ARMS[arm]
    return start + 0.8 * np.arange(size)


def write_coadd(
    root: Path,
    pixel: int,
    targets: np.ndarray,
    ra: np.ndarray,
    dec: np.ndarray,
    arms: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    empty: np.ndarray,
) -> None:
    """One coadd file below ``root``: stars, then sky fibres with a negative TARGETID; a star without light: ivar 0.

    pixel: the number in its name; targets, ra, dec (deg) and empty: (n,); arms: flux (1e-17 erg/s/cm2/A) and ivar
    (n, pixels) float32, and mask int32, by arm.
    """
    n = len(targets)
    ids = np.concatenate([targets, -1 - np.arange(_SKY)])
    table = [
        fits.Column("TARGETID", "K", array=ids),
        fits.Column("TARGET_RA", "D", array=np.concatenate([ra, np.zeros(_SKY)]), unit="deg"),
        fits.Column("TARGET_DEC", "D", array=np.concatenate([dec, np.zeros(_SKY)]), unit="deg"),
        fits.Column("OBJTYPE", "3A", array=np.array(["TGT"] * n + ["SKY"] * _SKY)),
        fits.Column("REF_ID", "K", array=np.zeros(n + _SKY, np.int64)),
    ]
    primary = fits.PrimaryHDU()
    primary.header.update({"SPGRP": "healpix", "SPGRPVAL": pixel, "HPXPIXEL": pixel, "SURVEY": SURVEY})
    primary.header["PROGRAM"] = PROGRAM
    units: list[fits.PrimaryHDU | fits.BinTableHDU | fits.ImageHDU] = [
        primary,
        fits.BinTableHDU.from_columns(table, name="FIBERMAP"),
    ]
    for arm, (flux, ivar, mask) in arms.items():
        wave = fits.ImageHDU(arm_pixels(arm), name=f"{arm}_WAVELENGTH")
        wave.header["BUNIT"] = "Angstrom"
        sky = np.zeros((_SKY, len(arm_pixels(arm))))
        units += [
            wave,
            fits.ImageHDU(np.vstack([np.where(empty[:, None], 0, flux), sky]).astype(">f4"), name=f"{arm}_FLUX"),
            fits.ImageHDU(np.vstack([np.where(empty[:, None], 0, ivar), sky]).astype(">f4"), name=f"{arm}_IVAR"),
            fits.ImageHDU(np.vstack([mask, sky]).astype(">i4"), name=f"{arm}_MASK"),
        ]
    name = f"{SURVEY}/{PROGRAM}/{pixel // 100}/{pixel}/coadd-{SURVEY}-{PROGRAM}-{pixel}.fits"
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(root / name) as partial:
        fits.HDUList(units).writeto(partial, overwrite=True)


def write_catalog(path: Path, tables: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """mwsall-pix: name of a table -> its columns, the same rows in all."""
    units: list[fits.PrimaryHDU | fits.BinTableHDU] = [fits.PrimaryHDU()]
    for name, columns in tables.items():
        n = len(next(iter(columns.values())))
        table = np.zeros(n, [(key, values.dtype, values.shape[1:]) for key, values in columns.items()])
        for key, values in columns.items():
            table[key] = values
        units.append(fits.BinTableHDU(table, name=name))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        fits.HDUList(units).writeto(partial, overwrite=True)
