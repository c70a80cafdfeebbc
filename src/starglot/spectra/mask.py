"""Which pixels of a spectrum can be trusted (paper 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray


def good_pixels(
    ormask: NDArray[np.int64], ivar: NDArray[np.float64], bits: Sequence[int] | Literal["all"] = "all"
) -> NDArray[np.bool_]:
    """True where no chosen mask bit is set and the inverse variance is finite and positive.

    ormask: (n,) bit sums, set where any exposure was bad; ivar: (n,) inverse variance of the flux.
    bits: numbers of the bits that mask a pixel, or "all".  The paper writes "ormask = 1", the files hold bit sums
    (1, 4, 64 and their sums are seen).  Inverse variance 0 marks a pixel without data; in LAMOST DR1 it is the only
    mark (a median of 7 % of the pixels), later releases set a bit as well.
    """
    chosen = -1 if bits == "all" else sum(1 << bit for bit in set(bits))
    # NaN compares false, so it is masked; infinity would pass for a perfect pixel.
    good: NDArray[np.bool_] = ((ormask & chosen) == 0) & (ivar > 0) & (ivar < np.inf)
    return good
