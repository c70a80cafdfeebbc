"""Normalised flux to what is stored: thousandths, as 16-bit integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starglot.spectra.rejection import SpectrumRejected
from starglot.tables import FLUX_SCALE

#: Greatest normalised flux that is stored.
LIMIT = 32.0


def quantise(flux: NDArray[np.float64]) -> NDArray[np.int16]:
    """round(1000 x flux), ties to the even neighbour; (m,) float in, (m,) int16 out.

    Raises SpectrumRejected ``out_of_int16`` when a value is beyond +-32: an integer never wraps.
    """
    extreme = max(float(flux.max()), -float(flux.min()))
    if not extreme <= LIMIT:
        raise SpectrumRejected("out_of_int16", f"a normalised value of {extreme:g} is beyond +-{LIMIT:g}")
    return np.rint(FLUX_SCALE * flux).astype(np.int16)
