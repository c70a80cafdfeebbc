"""DESI coadds: files of some hundred spectra, each in three arms B, R and Z (desidatamodel: coadd-*.fits).

Images {arm}_WAVELENGTH (vacuum, barycentric, steps of 0.8 A), {arm}_FLUX, {arm}_IVAR and {arm}_MASK, one row a
target; the table FIBERMAP names the targets in the same order.  Where arms overlap, a pixel is the mean of both,
weighted by inverse variance.  MASK is unsigned in some releases and signed in others.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from starglot.formats.fits_bytes import Unit
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.desi_exports import exported, is_export, read_export
from starglot.tables import FILES

ARMS = ("B", "R", "Z")
#: Pixels of different arms at one wavelength differ by rounding only.
_SAME = 1e-3
_STEP = 0.8
#: No arm reaches so far (A).
_LONGEST = 1e5


@dataclass(frozen=True)
class Coadd:
    """The spectra of a file: targets (n,) int64, kinds (n,) OBJTYPE, and on the joined grid (pixels,) A:
    flux (1e-17 erg/s/cm2/A), ivar, mask, each (n, pixels)."""

    targets: NDArray[np.int64]
    kinds: tuple[str, ...]
    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    mask: NDArray[np.int64]

    def spectrum(self, row: int) -> RawSpectrum | SpectrumRejected:
        """The spectrum of a row, or why it is none of an object."""
        if self.targets[row] <= 0 or self.kinds[row] != "TGT":
            kind = self.kinds[row] or "nothing"
            return SpectrumRejected("not_a_target", f"TARGETID {self.targets[row]}, OBJTYPE {kind}")
        return RawSpectrum(self.wavelength, self.flux[row], self.ivar[row], self.mask[row])


def coadd_file(shard: str) -> str:
    """Path of a shard's file below the release's healpix folder.

    'main-dark-27247' -> 'main/dark/272/27247/coadd-main-dark-27247.fits'
    """
    survey, program, pixel = shard.split("-")
    return f"{survey}/{program}/{int(pixel) // 100}/{pixel}/coadd-{shard}.fits"


def find_files(candidates: pa.Table, root: Path) -> pa.Table:
    """The file of each candidate's shard (protocol ``FindFiles``), ``.fits`` before ``.fits.gz``.

    Where there is none, the table in ``root`` itself that has the target among SPARCL's records, if any does.
    The row in it is null: the catalogue does not tell it, FIBERMAP or the column targetid does when the file is read.
    """
    tables = exported(root)
    found: dict[str, dict[str, str | int | None]] = {}
    for shard in dict.fromkeys(candidates["shard"].to_pylist()):
        name = coadd_file(shard)
        at = next((each for each in (name, f"{name}.gz") if (root / each).is_file()), None)
        status = (root / at).stat() if at else None
        size, mtime = (status.st_size, status.st_mtime_ns) if status else (None, None)
        found[shard] = {"file": at or name, "row": None, "size": size, "mtime": mtime}
    status_of = {name: (root / name).stat() for name in set(tables.values())}
    rows = []
    for obsid, shard in zip(candidates["obsid"].to_pylist(), candidates["shard"].to_pylist(), strict=True):
        row, table = found[shard], tables.get(obsid)
        if row["size"] is None and table is not None:
            row = {
                "file": table,
                "row": None,
                "size": status_of[table].st_size,
                "mtime": status_of[table].st_mtime_ns,
            }
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=FILES)


def read(rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
    """Each obsid (TARGETID) once: its spectrum, or why there is none (protocol ``ReadSpectra``)."""
    wanted: dict[str, list[int]] = {}
    for obsid, file in zip(rows["obsid"].to_pylist(), rows["file"].to_pylist(), strict=True):
        wanted.setdefault(file, []).append(obsid)
    for file, obsids in wanted.items():
        try:
            if is_export(file):
                table = read_export(root / file)
                none = SpectrumRejected("not_in_file", "no such targetid")
                yield from ((obsid, table.get(obsid, none)) for obsid in obsids)
                continue
            coadd = read_coadd(root / file)
        except SpectrumRejected as why:
            yield from ((obsid, why) for obsid in obsids)
            continue
        place = {int(target): row for row, target in enumerate(coadd.targets)}
        for obsid in obsids:
            row = place.get(obsid)
            missing = SpectrumRejected("not_in_file", f"no TARGETID {obsid} in FIBERMAP")
            yield obsid, missing if row is None else coadd.spectrum(row)


def read_coadd(path: Path) -> Coadd:
    """The spectra of a coadd, of a healpix or of a tile, its arms joined.

    Raises SpectrumRejected: ``file_missing``, ``file_unreadable``, ``layout_unknown`` (no FIBERMAP, an arm without
    one of its images, wavelengths of two arms that do not fall together), ``lengths_differ``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(path, memmap=False) as units:
                if "FIBERMAP" not in units:
                    raise SpectrumRejected("layout_unknown", "no FIBERMAP table")
                table = units["FIBERMAP"].data
                targets = np.asarray(table["TARGETID"], np.int64)
                kinds = tuple(str(kind).strip() for kind in table["OBJTYPE"])
                arms = [_arm(units, arm, len(targets)) for arm in ARMS if f"{arm}_FLUX" in units]
    except FileNotFoundError:
        raise SpectrumRejected("file_missing", "no such file") from None
    except SpectrumRejected:
        raise
    except Exception as error:  # a damaged header makes astropy raise nearly anything
        detail = " ".join(str(error).split()) or type(error).__name__
        raise SpectrumRejected("file_unreadable", detail) from error
    if not arms:
        raise SpectrumRejected("layout_unknown", f"no image {' or '.join(f'{arm}_FLUX' for arm in ARMS)}")
    return Coadd(targets, kinds, *join_arms(arms))


Arm = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


def _arm(units: fits.HDUList, arm: str, n: int) -> Arm:
    missing = [name for name in ("WAVELENGTH", "FLUX", "IVAR", "MASK") if f"{arm}_{name}" not in units]
    if missing:
        raise SpectrumRejected("layout_unknown", f"arm {arm} has no {', '.join(missing)}")
    wavelength = np.asarray(units[f"{arm}_WAVELENGTH"].data, np.float64)
    flux, ivar = (np.asarray(units[f"{arm}_{name}"].data, np.float64) for name in ("FLUX", "IVAR"))
    mask = np.asarray(units[f"{arm}_MASK"].data).astype(np.int64)
    shapes = {name: part.shape for name, part in (("FLUX", flux), ("IVAR", ivar), ("MASK", mask))}
    if any(shape != (n, len(wavelength)) for shape in shapes.values()):
        stated = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise SpectrumRejected("lengths_differ", f"arm {arm}: {n} targets, {len(wavelength)} wavelengths, {stated}")
    return wavelength, flux, ivar, mask


def join_arms(arms: Sequence[Arm]) -> Arm:
    """Arms, from blue to red, on one grid.

    arms: wavelength (pixels,), flux, ivar and mask (spectra, pixels) of each.  Returns the same of all.  A pixel in
    one arm is copied.  In an overlap, masked pixels (mask other than 0, or ivar not positive) do not count; flux is
    the mean of the others weighted by ivar, ivar their sum, and the mask is 0 where there is one of them.
    Raises SpectrumRejected (``layout_unknown``) where the arms' pixels do not fall together.
    """
    for wavelength, *_ in arms:  # of a damaged file they may be anything, and the grid as long as they say
        if not (
            len(wavelength) and np.isfinite(wavelength).all() and 0 < wavelength.min() <= wavelength.max() < _LONGEST
        ):
            raise SpectrumRejected("layout_unknown", f"wavelengths are not between 0 and {_LONGEST:g} A")
    start = arms[0][0][0]
    stop = max(arm[0][-1] for arm in arms)
    grid = start + _STEP * np.arange(round((stop - start) / _STEP) + 1)
    n, size = len(arms[0][1]), len(grid)
    weight, weighted, seen = np.zeros((n, size)), np.zeros((n, size)), np.zeros(size, bool)
    flux, mask = np.zeros((n, size)), np.zeros((n, size), np.int64)
    for wavelength, arm_flux, arm_ivar, arm_mask in arms:
        at = np.rint((wavelength - start) / _STEP).astype(np.int64)
        if at.min() < 0 or at.max() >= size or np.abs(grid[at] - wavelength).max() > _SAME:
            raise SpectrumRejected("layout_unknown", f"wavelengths are not steps of {_STEP} A from {start:g}")
        good = (arm_mask == 0) & (arm_ivar > 0)
        here = np.where(good, arm_ivar, 0.0)
        weight[:, at] += here
        weighted[:, at] += here * np.where(good, arm_flux, 0.0)
        flux[:, at] = np.where(seen[at], flux[:, at], arm_flux)
        mask[:, at] |= arm_mask
        seen[at] = True
    usable = weight > 0
    flux = np.divide(weighted, weight, out=flux, where=usable)
    mask[usable] = 0
    return grid[seen], flux[:, seen], weight[:, seen], mask[:, seen]


def is_desi(found: Sequence[Unit]) -> bool:
    """Whether these are the header and data units of a coadd."""
    names = {unit.text("EXTNAME").upper() for unit in found[1:]}
    return "FIBERMAP" in names and any({f"{arm}_FLUX", f"{arm}_WAVELENGTH"} <= names for arm in ARMS)
