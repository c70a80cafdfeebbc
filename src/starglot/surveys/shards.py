"""A shard (one LAMOST plate) from selected catalogue rows to cleaned spectra and reasons.

Every selected id comes out once: with its flux, or with the reason why not.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from starglot.config.models import Recipe
from starglot.errors import StarglotError
from starglot.spectra.clean import clean
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.lamost_spectrum import read_spectrum
from starglot.tables import FLUX_SCALE, REJECTED, flux_column, spectra_schema

log = logging.getLogger(__name__)

#: Files that a worker takes at a time: enough to hide the hand-over, few enough to share a plate evenly.
CHUNK = 64

#: A cleaned row and its number of masked pixels, or (reason, detail).
Outcome = tuple[NDArray[np.int16], int] | tuple[str, str]


def clean_shard(selected: pa.Table, root: Path, recipe: Recipe, workers: int = 1) -> tuple[pa.Table, pa.Table]:
    """Read and clean the spectra of one shard (paper 2.1).

    selected: rows of ``tables.SELECTED`` (obsid, star_id and path are used; path is relative to ``root``).
    workers: processes; the result does not depend on it.
    Returns (spectra, rejected) as ``tables.spectra_schema(recipe.wavelength.size)`` and ``tables.REJECTED``, both in
    the order of ``selected``; together they hold every selected obsid once.  Reasons are those of
    ``rejections.REJECTIONS``; a file that cannot be used is one of them, never an error.
    Raises StarglotError when ``root`` is no folder, when a plate's folder may not be read, or when an obsid repeats.
    """
    obsids = selected["obsid"].to_pylist()
    paths = selected["path"].to_pylist()
    _require_unique(obsids)
    _require_readable(root, paths)
    flux = np.empty((len(paths), recipe.wavelength.size), np.int16)
    masked = np.zeros(len(paths), np.int32)
    kept = np.zeros(len(paths), bool)
    reasons: list[tuple[int, str, str]] = []
    for row, outcome in enumerate(_outcomes(paths, root, recipe, workers)):
        first, second = outcome
        if isinstance(first, str):
            reasons.append((obsids[row], first, f"{paths[row]}: {second}"))
        else:
            flux[row], masked[row], kept[row] = first, int(second), True
    chosen = selected.filter(pa.array(kept))
    columns = [chosen["obsid"], chosen["star_id"], flux_column(flux[kept]), masked[kept]]
    spectra = pa.table(columns, schema=spectra_schema(recipe.wavelength.size))
    rejected = pa.table([list(column) for column in zip(*reasons, strict=True)] or [[], [], []], schema=REJECTED)
    counts = Counter(reason for _, reason, _ in reasons)
    log.info(
        "%d of %d spectra cleaned; rejected: %s", len(spectra), len(paths), dict(sorted(counts.items())) or "none"
    )
    return spectra, rejected


def spectra_metadata(recipe: Recipe) -> dict[str, Any]:
    """What a reader of ``spectra/{shard}.parquet`` must know: its grid, units and the recipe that made it."""
    grid = recipe.wavelength
    return {
        "wavelength": {"start": grid.start, "stop": grid.stop, "step": grid.step, "size": grid.size},
        "wavelength_unit": "Angstrom",
        "wavelength_frame": "vacuum, heliocentric",
        "flux_scale": FLUX_SCALE,
        "recipe": recipe.model_dump(mode="json"),
    }


def _outcomes(paths: Sequence[str | None], root: Path, recipe: Recipe, workers: int) -> Iterator[Outcome]:
    """Each file's outcome, in order."""
    chunks = [paths[at : at + CHUNK] for at in range(0, len(paths), CHUNK)]
    task = partial(_clean_files, root=root, recipe=recipe)
    workers = min(workers, len(chunks))
    if workers <= 1:
        for chunk in chunks:
            yield from task(chunk)
        return
    # A fork server: forking this process itself could copy a lock that one of Arrow's threads holds.  It imports
    # this module once, for all workers.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(workers) as pool:
        for outcomes in pool.imap(task, chunks):
            yield from outcomes


def _clean_files(paths: Sequence[str | None], root: Path, recipe: Recipe) -> list[Outcome]:
    return [_clean_file(path, root, recipe) for path in paths]


def _clean_file(path: str | None, root: Path, recipe: Recipe) -> Outcome:
    try:
        if path is None:
            raise SpectrumRejected("file_missing", "the catalogue row has no path")
        raw = read_spectrum(root / path)
        return clean(raw.wavelength, raw.flux, raw.ivar, raw.ormask, recipe)
    except SpectrumRejected as why:
        return why.reason, why.detail


def _require_unique(obsids: Sequence[int]) -> None:
    repeated = [obsid for obsid, times in Counter(obsids).items() if times > 1]
    if repeated:
        raise StarglotError(
            f"{len(repeated)} obsids stand more than once among the selected rows",
            where=f"first: obsid {repeated[0]}",
            todo="build the selection anew: snakemake inventory",
        )


def _require_readable(root: Path, paths: Sequence[str | None]) -> None:
    """A disk that is not mounted, or a folder of someone else's, is no property of a spectrum: it stops the shard."""
    if not root.is_dir():
        raise StarglotError(
            "the folder of LAMOST spectra is not there",
            where=root,
            todo="set surveys.lamost.spectra to the folder that holds <obsdate>/<planid>/, or mount its disk",
        )
    for folder in sorted({(root / path).parent for path in paths if path is not None}):
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
            raise StarglotError(
                "a folder of LAMOST spectra may not be read",
                where=folder,
                todo=f"give your account permission to read it: chmod u+rx {folder}",
            )
