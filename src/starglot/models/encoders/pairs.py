"""Embeddings of all pairs by an aligned base, which similarity search and spectra of the other view start from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from starglot.models.encoders.aligned import Aligned, in_batches, load_aligned
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.tables import PAIR

log = logging.getLogger(__name__)

#: Columns of embeddings/{base}.parquet beside those of the pairs, by the place of the view.
SHARED = ("shared", "other_shared")
#: Columns of the pairs that name the spectrum, likewise.
OBSID = ("obsid", "other_obsid")


def embed_pairs(folder: Path, pairs: pa.Table, spectra: Sequence[CleanedSpectra], device: torch.device) -> pa.Table:
    """The pairs with the shared parts of both embeddings, float32 lists of one length, as the heads give them.

    folder: of the aligned base; pairs: ``tables.PAIR``; spectra: of both views.
    """
    network = load_aligned(folder).to(device)
    table = pairs.select(PAIR.names)
    for place, view in enumerate(spectra):
        obsid = pairs[OBSID[place]].to_numpy()
        shared = np.empty((len(obsid), network.settings.shared), np.float32)
        for at, flux in view.blocks(obsid, "embed"):
            shared[at] = _embedded(network, place, flux, device)
        values = pa.array(shared.reshape(-1))
        table = table.append_column(SHARED[place], pa.FixedSizeListArray.from_arrays(values, shared.shape[1]))
    return table


def _embedded(network: Aligned, place: int, flux: np.ndarray, device: torch.device) -> np.ndarray:
    return in_batches(lambda at: network.embed(place, at), flux, device)


def shared_parts(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Both embeddings (n, shared) of a table of :func:`embed_pairs`."""
    one, other = (_matrix(table[name]) for name in SHARED)
    return one, other


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks()
    flat: np.ndarray = values.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), values.type.list_size)


def of_length_1(embeddings: np.ndarray) -> np.ndarray:
    """(n, width) -> the same, each divided by its length: what similarity is the product of."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, 1e-12))
