"""LAMOST's spectra as a survey: one file a spectrum, one directory listing a plate and night."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from starglot.errors import StarglotError
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.lamost_spectrum import read_spectrum
from starglot.surveys.shard_names import PLATE, no_folder
from starglot.surveys.single_files import list_spectra, read_each
from starglot.tables import FILES

#: Listings wait for the file system, not for a core.
_THREADS = 8


def read(rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
    """The spectrum of each row, or why there is none (:class:`starglot.surveys.protocol.ReadSpectra`)."""
    return read_each(rows, root, read_spectrum)


def spectrum_file(obsdate: str, planid: str, lmjd: int, spid: int, fiberid: int) -> str:
    """Path of a spectrum relative to the root of the spectra, without '.gz'.

    ('2013-11-23', 'HD001', 56619, 3, 7) -> '20131123/HD001/spec-56619-HD001_sp03-007.fits'
    """
    return f"{obsdate.replace('-', '')}/{planid}/spec-{lmjd:05d}-{planid}_sp{spid:02d}-{fiberid:03d}.fits"


def find_files(candidates: pa.Table, root: Path) -> pa.Table:
    """Where each spectrum is (:class:`starglot.surveys.protocol.FindFiles`).

    candidates: obsdate, planid, lmjd, spid, fiberid, shard; root: laid out as <YYYYMMDD>/<planid>/spec-*.fits[.gz].
    The file that is there (.fits before .fits.gz), or the name it would have as .fits.gz; a folder that is absent has
    only missing files.

    Raises StarglotError when a folder cannot be listed, or a plate is none below the root.
    """
    _require_plates(candidates)
    columns = (candidates[name].to_pylist() for name in ("obsdate", "planid", "lmjd", "spid", "fiberid"))
    names = [spectrum_file(*row) for row in zip(*columns, strict=True)]
    folders = sorted({name.rpartition("/")[0] for name in names})
    listings: dict[str, dict[str, tuple[int, int]]] = {}
    wanted = {name.rpartition("/")[2] for name in names}

    def is_wanted(name: str) -> bool:
        return name.removesuffix(".gz") in wanted

    with ThreadPoolExecutor(_THREADS) as pool:
        listed = pool.map(lambda folder: list_spectra(root / folder, is_wanted), folders)
        for folder, files in tqdm(
            zip(folders, listed, strict=True), total=len(folders), desc="inventory", unit="folder", mininterval=2
        ):
            listings[folder] = files
    found = [_locate(name, listings) for name in names]
    return pa.Table.from_pylist(found, schema=FILES)


def _require_plates(candidates: pa.Table) -> None:
    """Names that lead out of the root are none of a plate, nor is a day of other than five digits one of a shard."""
    plates = candidates.group_by(["lmjd", "planid", "shard"]).aggregate([([], "count_all")])
    bad = [
        plate
        for plate in plates.sort_by([("lmjd", "ascending"), ("planid", "ascending")]).to_pylist()
        if no_folder(plate["planid"]) or not re.fullmatch(PLATE, plate["shard"])
    ]
    if bad:
        named = ", ".join(f"{plate['planid']!r} (lmjd {plate['lmjd']})" for plate in bad[:5])
        raise StarglotError(
            f"{len(bad)} plate(s), of {sum(plate['count_all'] for plate in bad)} spectra, cannot be folders of "
            f"spectra: {named}",
            where="planid and lmjd of the catalogue",
            allowed="a planid without '/', not '.', '..' or empty; an lmjd of five digits",
            todo="correct planid and lmjd of these rows in the catalogue",
        )


def _locate(name: str, listings: dict[str, dict[str, tuple[int, int]]]) -> dict[str, str | int | None]:
    folder, _, file = name.rpartition("/")
    for candidate in (file, f"{file}.gz"):
        if candidate in listings[folder]:
            size, mtime = listings[folder][candidate]
            return {"file": f"{folder}/{candidate}", "row": 0, "size": size, "mtime": mtime}
    return {"file": f"{name}.gz", "row": 0, "size": None, "mtime": None}
