"""The flux of a sample as one memory-mapped array: read shard by shard once, then by any rows in any order.

Baselines of the same sample share it, whatever their bins.  Memory does not grow with the sample: 1.2 million
spectra of 4,901 values are 12 GB on disk, in the page cache as far as there is room.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starglot.config.baselines import Spectrum
from starglot.hashing import digest_of
from starglot.models.baselines.bins import binned
from starglot.models.baselines.rows import Rows, ShardPath, blocks
from starglot.store import is_whole, making

log = logging.getLogger(__name__)

#: Bytes of binned flux that are held in memory; what is larger is binned batch by batch.
_HELD = 1 << 30
#: Rows that are binned together.
_BLOCK = 2048
_CACHED = "flux.npy"


def map_flux(rows: Rows, shard_path: ShardPath, inputs: Mapping[str, str], folder: Path) -> np.ndarray:
    """int16 flux (n, grid) of ``rows``, in their order, mapped from a file kept in ``folder``, made if needed.

    inputs: digests of the sample and its spectra; by these and the ids the array is known.  An array that was there
    is read once, to be sure of it, which also brings it into the page cache.
    Raises StarglotError when a spectrum is missing or the disk is full.
    """
    ids = hashlib.sha256(np.ascontiguousarray(rows.obsid, "<i8").tobytes()).hexdigest()
    kept = Path(folder) / digest_of([ids, sorted(inputs.items())])[:24]
    if not is_whole(kept):
        log.info("writing the flux of %s spectra to %s", f"{len(rows):,}", kept)
        with making(kept) as made:
            file = made / _CACHED
            mapped: np.memmap | None = None
            for at, flux in blocks(rows, shard_path, "flux"):
                if mapped is None:
                    mapped = np.lib.format.open_memmap(
                        file, mode="w+", dtype=np.int16, shape=(len(rows), flux.shape[1])
                    )
                    _reserve(file)
                mapped[at] = flux
            if mapped is None:
                np.lib.format.open_memmap(file, mode="w+", dtype=np.int16, shape=(0, 1))
            else:
                mapped.flush()
    flux: np.ndarray = np.load(kept / _CACHED, mmap_mode="r")
    return flux


def _reserve(path: Path) -> None:
    """Take the disk space of a sparse file now, as an error: a mapped write that finds none kills the process."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class Bins:
    """Binned flux of some rows of a mapped array, held in memory where it is small."""

    def __init__(self, flux: np.ndarray, at: np.ndarray, spectrum: Spectrum):
        self._flux, self._at, self._width = flux, at, spectrum.bin
        self.count = flux.shape[1] // spectrum.bin
        self._held: np.ndarray | None = None
        if len(at) * self.count * 4 <= _HELD:
            held = np.empty((len(at), self.count), np.float32)
            for first in range(0, len(at), _BLOCK):
                held[first : first + _BLOCK] = self._read(np.arange(first, min(first + _BLOCK, len(at))))
            self._held = held

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        """float32 (chosen, bins) normalised flux."""
        return self._read(chosen) if self._held is None else self._held[chosen]

    def _read(self, chosen: np.ndarray) -> np.ndarray:
        at = self._at[chosen]
        order = np.argsort(at, kind="stable")  # ascending: kinder to a disk
        out = np.empty((len(at), self.count), np.float32)
        out[order] = binned(np.asarray(self._flux[at[order]]), self._width)
        return out
