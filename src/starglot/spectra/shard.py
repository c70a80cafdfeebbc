"""A shard of a survey from selected rows to cleaned spectra and reasons, by a recipe.

Every selected id comes out once: with its flux, or with the reason why not.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from starglot.config.recipes import Recipe
from starglot.errors import StarglotError
from starglot.spectra.clean import clean
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.tables import FLUX_SCALE, REJECTED, spectra_table

log = logging.getLogger(__name__)

#: Spectra that a worker takes at a time, or all of a file: enough to hide the hand-over, few enough to share evenly.
CHUNK = 64

#: A survey's reader: rows of ``tables.SELECTED`` and the root of the spectra -> each obsid with what is read.
Read = Callable[[pa.Table, Path], Iterator[tuple[int, RawSpectrum | SpectrumRejected]]]
#: A cleaned row and its number of masked pixels, or (reason, detail).
Outcome = tuple[NDArray[np.int16], int] | tuple[str, str]


def clean_shard(
    selected: pa.Table, root: Path, recipe: Recipe, read: Read, workers: int = 1
) -> tuple[pa.Table, pa.Table]:
    """Read and clean the spectra of one shard (paper 2.1).

    selected: rows of ``tables.SELECTED`` (obsid, star_id, file and row are used; file is relative to ``root``).
    read: the survey's, of :class:`starglot.surveys.protocol.ReadSpectra`.
    workers: processes; the result does not depend on it.
    Returns (spectra, rejected) as ``tables.spectra_schema(recipe.wavelength.size)`` and ``tables.REJECTED``, both in
    the order of ``selected``; together they hold every selected obsid once.  Reasons are those of
    ``rejections.REJECTIONS``; a file that cannot be used is one of them, never an error.
    Raises StarglotError when ``root`` is no folder, when a file's folder may not be read, when an obsid repeats, or
    when ``read`` does not give each row once.
    """
    obsids, files = selected["obsid"].to_pylist(), selected["file"].to_pylist()
    _require_unique(obsids)
    _require_readable(root, files)
    place = {obsid: row for row, obsid in enumerate(obsids)}
    flux = np.empty((len(obsids), recipe.wavelength.size), np.int16)
    masked = np.zeros(len(obsids), np.int32)
    cleaned, delivered = np.zeros(len(obsids), bool), np.zeros(len(obsids), bool)
    reasons: dict[int, tuple[int, str, str]] = {}
    for obsid, outcome in _outcomes(selected, root, recipe, read, workers):
        row = place.get(obsid)
        if row is None or delivered[row]:
            raise _misread(obsid, "was not asked for" if row is None else "came twice")
        delivered[row] = True
        first, second = outcome
        if isinstance(first, str):
            reasons[row] = (obsid, first, f"{_where(selected, row)}: {second}")
        else:
            flux[row], masked[row], cleaned[row] = first, int(second), True
    if not delivered.all():
        raise _misread(obsids[int(np.argmin(delivered))], "was asked for and did not come")
    chosen = selected.filter(pa.array(cleaned))
    spectra = spectra_table(chosen["obsid"], chosen["star_id"], flux[cleaned], masked[cleaned])
    listed = [reasons[row] for row in sorted(reasons)]
    rejected = pa.table([list(column) for column in zip(*listed, strict=True)] or [[], [], []], schema=REJECTED)
    counts = Counter(reason for _, reason, _ in listed)
    log.info(
        "%d of %d spectra cleaned; rejected: %s", len(spectra), len(obsids), dict(sorted(counts.items())) or "none"
    )
    return spectra, rejected


def spectra_metadata(recipe: Recipe) -> dict[str, Any]:
    """What a reader of ``spectra/{survey}/{recipe}/{shard}.parquet`` must know: grid, units, the recipe behind it."""
    return {
        "wavelength": {**recipe.wavelength.model_dump(mode="json"), "size": recipe.wavelength.size},
        "wavelength_unit": "Angstrom",
        "wavelength_frame": "vacuum, heliocentric",
        "flux_scale": FLUX_SCALE,
        "recipe": recipe.model_dump(mode="json"),
    }


def _outcomes(
    selected: pa.Table, root: Path, recipe: Recipe, read: Read, workers: int
) -> Iterator[tuple[int, Outcome]]:
    """Each spectrum's outcome."""
    chunks = _chunks(selected)
    workers = min(workers, len(chunks))
    if workers <= 1:
        for chunk in chunks:
            yield from _clean_rows(chunk, root, recipe, read)
        return
    # A fork server: forking this process itself could copy a lock that one of Arrow's threads holds.  It imports
    # this module once, for all workers.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(workers) as pool:
        for outcomes in pool.imap(partial(_cleaned_rows, root=root, recipe=recipe, read=read), chunks):
            yield from outcomes


def _chunks(selected: pa.Table) -> list[pa.Table]:
    """The rows in parts of :data:`CHUNK` or more; those of one file are never apart."""
    by_file: dict[str | None, list[int]] = {}
    for row, file in enumerate(selected["file"].to_pylist()):
        by_file.setdefault(file, []).append(row)
    parts: list[list[int]] = []
    for rows in by_file.values():
        if not parts or len(parts[-1]) >= CHUNK:
            parts.append([])
        parts[-1] += rows
    return [selected.take(pa.array(part, pa.int64())) for part in parts]


def _cleaned_rows(rows: pa.Table, root: Path, recipe: Recipe, read: Read) -> list[tuple[int, Outcome]]:
    return list(_clean_rows(rows, root, recipe, read))


def _clean_rows(rows: pa.Table, root: Path, recipe: Recipe, read: Read) -> Iterator[tuple[int, Outcome]]:
    for obsid, found in read(rows, root):
        try:
            if isinstance(found, SpectrumRejected):
                raise found
            yield obsid, clean(found, recipe)
        except SpectrumRejected as why:
            yield obsid, (why.reason, why.detail)


def _where(selected: pa.Table, row: int) -> str:
    """The file of a row, and where in it the spectrum is, if it is not the first."""
    file, at = selected["file"][row].as_py(), selected["row"][row].as_py()
    return f"{file}, row {at}" if at else str(file)


def _misread(obsid: int, what: str) -> StarglotError:
    return StarglotError(
        f"the reader of the survey's spectra does not give each of the rows once: obsid {obsid} {what}",
        allowed="every row of the shard, once",
        todo="correct `read` of the survey (docs/extending.md)",
    )


def _require_unique(obsids: Sequence[int]) -> None:
    repeated = [obsid for obsid, times in Counter(obsids).items() if times > 1]
    if repeated:
        raise StarglotError(
            f"{len(repeated)} obsids stand more than once among the selected rows",
            where=f"first: obsid {repeated[0]}",
            todo="build the selection anew: snakemake inventory",
        )


def _require_readable(root: Path, files: Sequence[str | None]) -> None:
    """A disk that is not mounted, or a folder of someone else's, is no property of a spectrum: it stops the shard."""
    if not root.is_dir():
        raise StarglotError(
            "the folder of the survey's spectra is not there",
            where=root,
            todo="set `spectra` of the survey to the folder that holds them, or mount its disk",
        )
    for folder in sorted({(root / file).parent for file in files if file is not None}):
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
            raise StarglotError(
                "a folder of spectra may not be read",
                where=folder,
                todo=f"give your account permission to read it: chmod u+rx {folder}",
            )
