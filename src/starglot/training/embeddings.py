"""Embeddings of a sample's spectra, made once and mapped, for models that read them in place of flux."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from starglot.errors import StarglotError
from starglot.hashing import digest_of, file_digest
from starglot.models.baselines.files import ENCODER
from starglot.models.encoders.files import Embedder
from starglot.spectra.sample_flux import Located, ShardPath, map_flux
from starglot.store import await_whole, is_whole, making

if TYPE_CHECKING:
    from starglot.training.baselines import Work

log = logging.getLogger(__name__)

#: Spectra that are read and embedded together.
_BLOCK = 2048
_MADE = "embeddings.npy"


class Embeddings:
    """Embeddings of some rows of a mapped sample, in the place of :class:`starglot.spectra.sample_flux.Bins`."""

    def __init__(self, values: np.ndarray, at: np.ndarray):
        """values: float32 (n, width); at: which rows."""
        self._values, self._at = values, at
        self.count: int = values.shape[1]

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        """float32 (chosen, width)."""
        return np.asarray(self._values[self._at[chosen]])


def split_embeddings(work: Work, device: torch.device) -> tuple[Embeddings, Embeddings]:
    """Embeddings of all training rows, and of all validation rows, by the encoder of the work's base.

    Models of the same sample and base share them.  Raises StarglotError when spectra and encoder do not fit.
    """
    if work.base is None:
        raise StarglotError(
            "this model reads embeddings, and was given no base",
            where="models: base",
            todo="give it the base's folder",
        )
    rows = work.train.followed_by(work.val)
    values = map_embeddings(rows, work.shard_path, work.inputs, Path(work.flux), work.base, device)
    n = len(work.train)
    return Embeddings(values, np.arange(n)), Embeddings(values, np.arange(n, len(values)))


def map_embeddings(
    spectra: Located,
    shard_path: ShardPath,
    inputs: Mapping[str, str],
    folder: Path,
    base: Path,
    device: torch.device,
    chief: bool = True,
) -> np.ndarray:
    """float32 embeddings (n, numbers) of ``spectra``, in their order, mapped from a file kept in ``folder``, made if
    needed.

    base: folder that holds the encoder's file; device: that embeds; the rest as of
    :func:`starglot.spectra.sample_flux.map_flux`.  Raises StarglotError when spectra and encoder do not fit.
    """
    ids = hashlib.sha256(np.ascontiguousarray(spectra.obsid, "<i8").tobytes()).hexdigest()
    made_of = [ids, sorted(inputs.items()), file_digest(base / ENCODER), device.type]
    cached = folder / digest_of(made_of)[:24]
    if not chief:
        await_whole(cached)
    elif not is_whole(cached):
        flux = map_flux(spectra, shard_path, inputs, folder)
        embedder = Embedder(base, device)
        log.info("writing the embeddings of %s spectra to %s", f"{len(flux):,}", cached)
        with making(cached) as made:
            shape = (len(flux), embedder.width)
            mapped = np.lib.format.open_memmap(made / _MADE, mode="w+", dtype=np.float32, shape=shape)
            with tqdm(total=len(flux), desc="embed", unit=" spectra", mininterval=2) as bar:
                for first in range(0, len(flux), _BLOCK):
                    block = np.asarray(flux[first : first + _BLOCK])
                    mapped[first : first + _BLOCK] = embedder(block)
                    bar.update(len(block))
            mapped.flush()
    mapping: np.ndarray = np.load(cached / _MADE, mmap_mode="r")
    return mapping
