"""What a baseline is shown of a spectrum: bins of normalised flux, as they are or divided by a smooth continuum."""

from __future__ import annotations

import numpy as np

from starglot.config.kinds.baselines import Spectrum
from starglot.errors import StarglotError
from starglot.spectra.continuum import coarse_log_flux, divide_by_continuum

#: Coarse log flux values that stand beside bins divided by their continuum.
COARSE = 10


def prepared(flux: np.ndarray, spectrum: Spectrum) -> np.ndarray:
    """float32 features (n, m + coarse) of binned flux (n, m): coarse is 0, or 10 for the preparation 'continuum'.

    Raises StarglotError when there are fewer bins than coarse values.
    """
    if spectrum.preparation == "as_is":
        return flux
    if flux.shape[1] < COARSE:
        raise StarglotError(
            f"{flux.shape[1]} bins are too few for the preparation 'continuum'",
            where="models: bin",
            allowed=f"{COARSE} or more bins",
            todo="lower `bin`",
        )
    return np.hstack([divide_by_continuum(flux), coarse_log_flux(flux, COARSE)]).astype(np.float32)


def coarse_values(spectrum: Spectrum) -> int:
    """How many of the features, the last ones, are coarse log flux."""
    return COARSE if spectrum.preparation == "continuum" else 0
