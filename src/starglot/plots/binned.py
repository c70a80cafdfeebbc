"""Running summaries along an axis, for figures of trends."""

from __future__ import annotations

import numpy as np


def quantile_bins(x: np.ndarray, most: int, least: int) -> list[np.ndarray]:
    """Members of at most ``most`` bins of ``x`` (n,) with equal counts, each of at least ``least`` finite values."""
    order = np.flatnonzero(np.isfinite(x))
    order = order[np.argsort(x[order], kind="stable")]
    count = min(most, len(order) // least)
    return np.array_split(order, count) if count else []
