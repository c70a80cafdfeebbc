"""Similarity search: of test stars, is the right spectrum of the other view among the most similar ones?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.statistics import interval, star_resamples

#: How many of the most similar are looked at.
AMONG: tuple[int, ...] = (1, 5, 10)
_BLOCK = 2048

COLUMNS: tuple[str, ...] = (
    *("from", "to", "method", "n", "median_rank"),
    *(f"recall_{k}{end}" for k in AMONG for end in ("", "_lo", "_hi")),
    *(f"chance_{k}" for k in AMONG),
    "interval",
)

NOTES: tuple[str, ...] = (
    "Each test star's spectrum in one view is compared with those of all N test stars in the other view. recall_k: "
    "the star's own is among the k most similar; chance_k: k / N, what guessing gives. The more stars, the harder.",
    "aligned: cosine of the shared embeddings. ridge: the other view's spectrum is predicted by ridge regression on "
    "training pairs, and those nearest to it are taken, each pixel by its scatter among training stars. A tie counts "
    "as missed.",
)


class Search(NamedTuple):
    """What is compared: queries and library (n, width), row by row of the same stars, and by what."""

    queries: np.ndarray
    library: np.ndarray
    by: str = "product"


def ranks(search: Search) -> np.ndarray:
    """(n,) rank of the right library row for each query: 1 + how many others are at least as similar.

    by 'product': the larger, the more similar; by 'distance': the smaller.
    """
    found = [_block_ranks(*each, first) for first, each in _similarities(search)]
    return np.concatenate(found) if found else np.empty(0, int)


def _similarities(search: Search) -> Iterator[tuple[int, tuple[np.ndarray]]]:
    queries, library = (np.asarray(each, float) for each in (search.queries, search.library))
    half = 0.5 * np.square(library).sum(axis=1) if search.by == "distance" else 0.0
    for first in range(0, len(queries), _BLOCK):
        # Of distances no more counts than q x - x^2 / 2: that of the query itself is the same for all.
        yield first, (queries[first : first + _BLOCK] @ library.T - half,)


def _block_ranks(similarity: np.ndarray, first: int) -> np.ndarray:
    rows = np.arange(len(similarity))
    right = similarity[rows, first + rows]
    return np.asarray((similarity >= right[:, None]).sum(axis=1))


def retrieval_table(
    searches: Mapping[tuple[str, str, str], Search], *, level: float = 0.95, replicates: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """A row for each (from, to, method), with intervals over stars: each is in one pair."""
    records = []
    for (view, other, method), search in searches.items():
        rank = ranks(search)
        record: dict[str, Any] = {"from": view, "to": other, "method": method, "n": len(rank), "interval": level}
        record["median_rank"] = float(np.median(rank)) if len(rank) else float("nan")
        hits = np.stack([rank <= k for k in AMONG], axis=1).astype(float)
        drawn = (
            np.concatenate([times @ hits for times in star_resamples(len(rank), replicates, seed, len(rank))])
            if len(rank) >= LEAST_STARS
            else None
        )
        for place, k in enumerate(AMONG):
            record[f"recall_{k}"] = float(hits[:, place].mean()) if len(rank) else float("nan")
            record[f"chance_{k}"] = min(1.0, k / len(rank)) if len(rank) else float("nan")
            if drawn is not None:
                record[f"recall_{k}_lo"], record[f"recall_{k}_hi"] = interval(drawn[:, place] / len(rank), level)
        records.append(record)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
