"""SDSS's spectra as a survey: one file a spectrum, one folder a plate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.sdss_spectrum import read_sdss_spectrum
from starglot.surveys.single_files import list_spectra, read_each
from starglot.tables import FILES

#: Where releases have the folders of plates, below the root: as downloaded by plate, or as the archive lays them out.
LAYOUTS = (
    "{plate:04d}",
    "{run2d}/spectra/{plate:04d}",
    "{run2d}/spectra/lite/{plate:04d}",
    "{run2d}/spectra/full/{plate:04d}",
    "{run2d}/{plate:04d}",
)


def read(rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
    """The spectrum of each row, or why there is none (:class:`starglot.surveys.protocol.ReadSpectra`)."""
    return read_each(rows, root, read_sdss_spectrum)


def find_files(candidates: pa.Table, root: Path) -> pa.Table:
    """Where each spectrum is (:class:`starglot.surveys.protocol.FindFiles`).

    candidates: plate, mjd, fiberid, run2d (null where unknown).  The first of ``LAYOUTS`` that has the file, as
    ``.fits`` or ``.fits.gz``, or the place where the archive would have it; plates are listed once each.

    Raises StarglotError when a folder cannot be listed.
    """
    listings: dict[str, dict[str, tuple[int, int]]] = {}
    found = []
    columns = (candidates[name].to_pylist() for name in ("plate", "mjd", "fiberid", "run2d"))
    for plate, mjd, fiber, run2d in tqdm(
        zip(*columns, strict=True), total=len(candidates), desc="inventory", unit="spectrum", mininterval=2
    ):
        folders = [each.format(plate=plate, run2d=run2d) for each in LAYOUTS if run2d or "{run2d}" not in each]
        name = f"spec-{plate:04d}-{mjd:05d}-{fiber:04d}.fits"
        found.append(_locate(folders, name, root, listings))
    return pa.Table.from_pylist(found, schema=FILES)


def _locate(
    folders: list[str], name: str, root: Path, listings: dict[str, dict[str, tuple[int, int]]]
) -> dict[str, str | int | None]:
    for folder in folders:
        if folder not in listings:
            listings[folder] = list_spectra(root / folder, lambda name: name.startswith("spec-"))
        for file in (name, f"{name}.gz"):
            if file in listings[folder]:
                size, mtime = listings[folder][file]
                return {"file": f"{folder}/{file}", "row": 0, "size": size, "mtime": mtime}
    return {"file": f"{folders[min(1, len(folders) - 1)]}/{name}", "row": 0, "size": None, "mtime": None}
