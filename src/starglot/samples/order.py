"""The order in which stars are chosen: by a stable hash, so that a new plate slips in and displaces few.

Selection and drawing share it: what the largest sample needs is what was selected.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from starglot.hashing import stable_hash


def star_ranks(star_ids: pa.Array | pa.ChunkedArray, seed: int) -> np.ndarray:
    """uint64 rank of each row's star; every row of a star has the same, whatever else is in the table."""
    if isinstance(star_ids, pa.ChunkedArray):
        star_ids = star_ids.combine_chunks()
    encoded = star_ids.dictionary_encode()
    ranks = stable_hash(encoded.dictionary.to_pylist(), f"{seed}/sample")
    return ranks[encoded.indices.to_numpy(zero_copy_only=False)] if len(encoded) else ranks


def drawing_order(star_ids: pa.Array | pa.ChunkedArray, obsids: np.ndarray, seed: int) -> np.ndarray:
    """Row numbers in the order of drawing: stars by rank, and a star's visits by a hash of their obsid.

    Visits of a star are consecutive, so that a smaller sample has fewer stars and not fewer visits of each.
    """
    ranks = star_ranks(star_ids, seed)
    visits = stable_hash(obsids.tolist(), f"{seed}/visit")
    return np.lexsort((obsids, visits, ranks))
