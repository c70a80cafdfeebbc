"""Which of the selected files are on disk: one directory listing per plate and night."""

from __future__ import annotations

import errno
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from starglot.errors import StarglotError
from starglot.surveys.lamost import spectrum_file
from starglot.surveys.shard_names import SHARD_NAME, no_folder
from starglot.tables import SELECTED

log = logging.getLogger(__name__)

#: Listings wait for the file system, not for a core.
_THREADS = 8


def inventory(candidates: pa.Table, root: Path) -> dict[str, pa.Table]:
    """Shard -> its rows (schema ``tables.SELECTED``, sorted by obsid) with path, size and time of each file.

    candidates: rows of :func:`starglot.samples.select.select`; root: of the spectra, laid out as
    <YYYYMMDD>/<planid>/spec-*.fits[.gz].  ``path`` is relative to root: the file that is there (.fits before
    .fits.gz), or the name it would have as .fits.gz, with size and mtime_ns null.  Every candidate is in exactly one
    shard; a folder that is absent has only missing files.

    Raises StarglotError when the root is not there, a folder cannot be listed, or a plate is none below it.
    """
    root = Path(root)
    if not root.is_dir():
        raise StarglotError(
            "the root of the spectra is not a folder that can be read",
            where=root,
            todo="set surveys.lamost.spectra to the folder that holds <obsdate>/<planid>/spec-*.fits.gz",
        )
    _require_plates(candidates)
    columns = (candidates[name].to_pylist() for name in ("obsdate", "planid", "lmjd", "spid", "fiberid"))
    names = [spectrum_file(*row) for row in zip(*columns, strict=True)]
    folders = sorted({name.rpartition("/")[0] for name in names})
    listings: dict[str, dict[str, tuple[int, int]]] = {}
    wanted = {name.rpartition("/")[2] for name in names}
    with ThreadPoolExecutor(_THREADS) as pool:
        listed = pool.map(lambda folder: _listing(root / folder, wanted), folders)
        for folder, files in tqdm(
            zip(folders, listed, strict=True), total=len(folders), desc="inventory", unit="folder", mininterval=2
        ):
            listings[folder] = files
    found = [_locate(name, listings) for name in names]
    rows = candidates
    for name, kind, values in (
        ("path", pa.string(), [path for path, _, _ in found]),
        ("size", pa.int64(), [size for _, size, _ in found]),
        ("mtime_ns", pa.int64(), [mtime for _, _, mtime in found]),
    ):
        rows = rows.append_column(name, pa.array(values, kind))
    missing = rows["size"].null_count
    log.info("%d files in %d folders, %d of them not on disk", len(rows), len(folders), missing)
    return _by_shard(rows)


def _require_plates(candidates: pa.Table) -> None:
    """Names that lead out of the root are none of a plate, nor is a day of other than five digits one of a shard."""
    plates = candidates.group_by(["lmjd", "planid", "shard"]).aggregate([([], "count_all")])
    bad = [
        plate
        for plate in plates.sort_by([("lmjd", "ascending"), ("planid", "ascending")]).to_pylist()
        if no_folder(plate["planid"]) or not re.fullmatch(SHARD_NAME, plate["shard"])
    ]
    if bad:
        named = ", ".join(f"{plate['planid']!r} (lmjd {plate['lmjd']})" for plate in bad[:5])
        raise StarglotError(
            f"{len(bad)} plate(s), of {sum(plate['count_all'] for plate in bad)} spectra, cannot be folders of "
            f"spectra: {named}",
            allowed="a planid without '/', not '.', '..' or empty; an lmjd of five digits",
            todo="correct planid and lmjd of these rows in the catalogue",
        )


def _listing(folder: Path, wanted: set[str]) -> dict[str, tuple[int, int]]:
    """(size, mtime_ns) of the wanted files in a folder, by name; nothing for a folder that is not there."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # A dangling link is a missing file.
                if entry.name.removesuffix(".gz") in wanted and not (
                    entry.is_symlink() and not os.path.exists(entry)
                ):
                    status = entry.stat()
                    found[entry.name] = (status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        return {}
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return {}
        raise StarglotError(
            f"a folder of spectra cannot be listed: {error.strerror}",
            where=folder,
            todo="check its permissions and the disk, then run the same command again",
        ) from error
    return found


def _locate(name: str, listings: dict[str, dict[str, tuple[int, int]]]) -> tuple[str, int | None, int | None]:
    folder, _, file = name.rpartition("/")
    for candidate in (file, f"{file}.gz"):
        if candidate in listings[folder]:
            return f"{folder}/{candidate}", *listings[folder][candidate]
    return f"{name}.gz", None, None


def _by_shard(rows: pa.Table) -> dict[str, pa.Table]:
    rows = rows.sort_by([("shard", "ascending"), ("obsid", "ascending")]).combine_chunks()
    shards = rows["shard"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.r_[True, shards[1:] != shards[:-1]]) if len(shards) else np.empty(0, np.int64)
    ends = np.r_[starts[1:], len(shards)]
    selected = rows.select(SELECTED.names).cast(SELECTED)
    return {str(shards[a]): selected.slice(a, b - a) for a, b in zip(starts, ends, strict=True)}
