"""The flux of a sample, for every model that reads it: shard by shard, as one mapped array, by obsid, or in bins.

Flux is read from the cleaned spectra, in the numbers that are stored there; what a model makes of them (bins, values
of a text, patches) is its own.

A mapped array is read from the shards once, and then by any rows in any order.  Models of the same sample share it,
whatever they make of it.  Memory does not grow with the sample: 1.2 million spectra of 4,901 values are 12 GB on
disk, in the page cache as far as there is room.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from starglot.errors import StarglotError
from starglot.hashing import digest_of
from starglot.spectra.rebin import binned
from starglot.store import await_whole, is_whole, making
from starglot.tables import read_spectra

log = logging.getLogger(__name__)

#: A shard's name to its file of cleaned spectra.
ShardPath = Callable[[str], Path]

#: Numbers in a block of flux (64 MB as float64): bounds memory whatever the sample.
MAX_BLOCK = 8_000_000
#: Bytes of binned flux that are held in memory; what is larger is binned batch by batch.
_HELD = 1 << 30
#: Rows that are binned together.
_BLOCK = 2048
_CACHED = "flux.npy"


class Located(Protocol):
    """Spectra, and where they are: obsid (n,) and the shard (n,) that each is in."""

    @property
    def obsid(self) -> np.ndarray:
        """(n,) int64."""

    @property
    def shard(self) -> np.ndarray:
        """(n,) names."""


@dataclass(frozen=True)
class Places:
    """Spectra of which no more is known than where they are (:class:`Located`)."""

    obsid: np.ndarray
    shard: np.ndarray


@dataclass(frozen=True)
class CleanedSpectra:
    """The cleaned spectra of a view: obsid (n,), shard (n,), and the shards' files and digests.

    obsid, shard: of at least the spectra that are read; in any order.
    """

    obsid: np.ndarray
    shard: np.ndarray
    shard_path: ShardPath
    digests: Mapping[str, str]

    def of(self, obsid: np.ndarray) -> Places:
        """Where these spectra are, in their order; raises StarglotError when one is not known."""
        return Places(obsid, self.shard[find(obsid, self.obsid)])

    def blocks(self, obsid: np.ndarray, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """:func:`blocks` of these spectra."""
        return blocks(self.of(obsid), self.shard_path, what)

    def mapped(self, obsid: np.ndarray, folder: Path, chief: bool = True) -> SampleFlux:
        """The flux of these spectra by obsid, from an array kept in ``folder`` (:func:`map_flux`)."""
        places = self.of(obsid)
        inputs = {shard: self.digests[shard] for shard in map(str, np.unique(places.shard))}
        return SampleFlux(obsid, map_flux(places, self.shard_path, inputs, folder, chief))


class SampleFlux:
    """Flux by obsid, from a mapped array."""

    def __init__(self, obsid: np.ndarray, flux: np.ndarray):
        """obsid: (n,), of the rows of ``flux`` (n, grid), which :func:`map_flux` returned."""
        self.obsid, self.flux = obsid, flux
        self._order = np.argsort(obsid, kind="stable")

    def __getitem__(self, obsid: np.ndarray) -> np.ndarray:
        """int16 (chosen, grid) of these spectra, in their order; raises StarglotError when one is not there."""
        flux: np.ndarray = np.asarray(self.flux[find(obsid, self.obsid, self._order)])
        return flux

    def __getstate__(self) -> dict[str, Any]:
        return {"obsid": self.obsid, "file": self.flux.filename}  # type: ignore[attr-defined]

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["obsid"], np.load(state["file"], mmap_mode="r"))  # type: ignore[misc]


def find(obsid: np.ndarray, known: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """Where each ``obsid`` stands among the ``known``; raises StarglotError when one is not among them.

    order: that of ``known``, where it is at hand.
    """
    if not len(obsid):
        return np.empty(0, int)
    order = np.argsort(known, kind="stable") if order is None else order
    if not len(known):
        missing = obsid
    else:
        at: np.ndarray = order[np.minimum(np.searchsorted(known, obsid, sorter=order), len(known) - 1)]
        missing = obsid[known[at] != obsid]
    if len(missing):
        raise StarglotError(
            "a spectrum of the sample has no labels", where=f"obsid {missing[0]}", todo="snakemake samples"
        )
    return at


def blocks(spectra: Located, shard_path: ShardPath, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(positions in ``spectra``, their int16 flux (n, grid)) shard by shard, in blocks of bounded size."""
    shards, of = np.unique(spectra.shard.astype(str), return_inverse=True)
    for number, shard in enumerate(tqdm(shards, what, unit="shard", mininterval=2, disable=len(shards) < 2)):
        mine = np.flatnonzero(of == number)
        flux = read_spectra([shard_path(str(shard))], spectra.obsid[mine])
        size = max(1, MAX_BLOCK // flux.shape[1])
        for first in range(0, len(mine), size):
            yield mine[first : first + size], flux[first : first + size]


def map_flux(
    spectra: Located, shard_path: ShardPath, inputs: Mapping[str, str], folder: Path, chief: bool = True
) -> np.ndarray:
    """int16 flux (n, grid) of ``spectra``, in their order, mapped from a file kept in ``folder``, made if needed.

    inputs: digests of what the flux depends on, such as its shards; by these and the ids the array is known.  An
    array that was there is read once, to be sure of it, which also brings it into the page cache.  chief: of several
    processes one makes the file and the others wait for it.
    Raises StarglotError when a spectrum is missing or the disk is full.
    """
    ids = hashlib.sha256(np.ascontiguousarray(spectra.obsid, "<i8").tobytes()).hexdigest()
    cached = Path(folder) / digest_of([ids, sorted(inputs.items())])[:24]
    if not chief:
        await_whole(cached)
    elif not is_whole(cached):
        n = len(spectra.obsid)
        log.info("writing the flux of %s spectra to %s", f"{n:,}", cached)
        with making(cached) as made:
            file = made / _CACHED
            mapped: np.memmap | None = None
            for at, flux in blocks(spectra, shard_path, "flux"):
                if mapped is None:
                    mapped = np.lib.format.open_memmap(file, mode="w+", dtype=np.int16, shape=(n, flux.shape[1]))
                    _reserve(file)
                mapped[at] = flux
            if mapped is None:
                np.lib.format.open_memmap(file, mode="w+", dtype=np.int16, shape=(0, 1))
            else:
                mapped.flush()
    mapping: np.ndarray = np.load(cached / _CACHED, mmap_mode="r")
    return mapping


def _reserve(path: Path) -> None:
    """Take the disk space of a sparse file now, as an error: a mapped write that finds none kills the process."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class Bins:
    """Binned flux of some rows of a mapped array, held in memory where it is small."""

    def __init__(self, flux: np.ndarray, at: np.ndarray, width: int):
        """flux: int16 (n, grid); at: which rows; width: grid values in a bin."""
        self._flux, self._at, self._width = flux, at, width
        self.count = flux.shape[1] // width
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


def evenly_spread(n: int, most: int) -> np.ndarray:
    """Places of all of ``n`` rows, or of ``most`` of them, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
