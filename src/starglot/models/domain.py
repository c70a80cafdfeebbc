"""The spectra that a model was trained on, as a region: principal components of their flux, and how far others lie.

A spectrum is two numbers to it: the distance within the first components (Mahalanobis, per component), which is large
for what the components can make and no training spectrum is; and the residual, what they cannot make at all, in units
of what they leave of training spectra there: a line where no star has one counts more than noise where all have some.
Each has a threshold that all but a few validation spectra are below.  What lies above either is unlike anything that
the model has seen, whatever it answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from starglot.errors import StarglotError
from starglot.spectra.rebin import rebin
from starglot.tables import FLUX_SCALE, atomic_path

#: The file in a model's folder.
DOMAIN = "domain.safetensors"
_TENSORS = ("components", "mean", "scale", "scatter")
#: Most components, and training spectra for each at least.
COMPONENTS, SPECTRA_EACH = 20, 10
#: Fewest training spectra.
FEWEST = 3
#: About so many bins of flux are compared.
BINS = 490
#: Part of the validation spectra that is within each threshold.
QUANTILE = 0.99
#: Scatter of flux that storing it in thousandths leaves in a bin, about.
LEAST_SCATTER = 1e-4
#: Standard deviation of a normal distribution over its median absolute deviation.
_ROBUST = 1.4826
#: Fewest validation spectra that a threshold is taken from; below, it is taken from the training spectra as well.
LEAST = 10


@dataclass(frozen=True)
class Domain:
    """mean (bins,), components (k, bins); scale (k,) and scatter (bins,): what training spectra have along these and
    beside them; thresholds; grid values of a bin."""

    mean: np.ndarray
    components: np.ndarray
    scale: np.ndarray
    scatter: np.ndarray
    most_distance: float
    most_residual: float
    width: int

    def measure(self, flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance and residual, both (n,), of cleaned spectra (n, grid), int16.

        distance: root mean square of the components in standard deviations; residual: root mean square over the bins
        of what the components leave, in units of the scatter there.
        """
        along, left = parts(rebin(flux / FLUX_SCALE, self.width) - self.mean, self.components)
        distance = np.sqrt(np.mean((along / self.scale) ** 2, axis=1))
        return distance, np.sqrt(np.mean((left / self.scatter) ** 2, axis=1))

    def excess(self, flux: np.ndarray) -> np.ndarray:
        """(n,) the greater of distance and residual, each over its threshold: above 1 is outside of the domain."""
        distance, residual = self.measure(flux)
        return np.maximum(distance / self.most_distance, residual / self.most_residual)


def parts(away: np.ndarray, components: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectra (n, bins) less the mean, along components (k, bins) and beside them: (n, k) and (n, bins)."""
    along = away @ components.T
    return along, away - along @ components


def learn_domain(train: np.ndarray, val: np.ndarray) -> Domain:
    """The region of training spectra, with thresholds from validation spectra; both (n, grid), int16.

    Raises StarglotError when there are too few training spectra to tell what they have in common.
    """
    if len(train) < FEWEST:
        raise StarglotError(
            f"{len(train)} training spectra say too little of what spectra look like",
            allowed=f"{FEWEST} or more",
            todo="take a larger sample",
        )
    width = max(1, train.shape[1] // BINS)
    binned = rebin(train / FLUX_SCALE, width)
    mean = binned.mean(axis=0)
    variance, vectors = np.linalg.eigh(np.cov(binned - mean, rowvar=False, bias=True))
    wanted = min(COMPONENTS, max(1, len(train) // SPECTRA_EACH), len(mean))
    scale = np.sqrt(np.maximum(variance[::-1][:wanted], np.finfo(float).tiny))
    components = np.ascontiguousarray(vectors[:, ::-1][:, :wanted].T)
    _, left = parts(binned - mean, components)
    bare = Domain(mean, components, scale, LEAST_SCATTER + _ROBUST * np.median(np.abs(left), axis=0), 1.0, 1.0, width)
    distance, residual = bare.measure(val if len(val) >= LEAST else np.concatenate([train, val]))
    return replace(bare, most_distance=threshold(distance), most_residual=threshold(residual))


def threshold(values: np.ndarray) -> float:
    """What QUANTILE of further values like these (n,), positive, will be below.

    Their own quantile where they reach that far; of fewer the bound of the next one for a logarithmic normal
    distribution, as the greatest of twenty values is no hundredth percentile.
    """
    n = len(values)
    if n * (1 - QUANTILE) >= 1:
        return float(np.quantile(values, QUANTILE, method="higher"))
    logs = np.log(np.maximum(values, np.finfo(float).tiny))
    return float(np.exp(logs.mean() + stdtrit(n - 1, QUANTILE) * logs.std(ddof=1) * np.sqrt(1 + 1 / n)))


def save_domain(domain: Domain, path: str | Path, facts: Mapping[str, Any]) -> None:
    """Write the region, with ``facts`` (JSON-able) on the sample behind it."""
    from safetensors.numpy import save_file

    numbers = {"most_distance": domain.most_distance, "most_residual": domain.most_residual, "width": domain.width}
    tensors = {name: np.ascontiguousarray(getattr(domain, name)) for name in _TENSORS}
    with atomic_path(path) as partial:
        save_file(tensors, str(partial), metadata={"starglot": json.dumps({**numbers, **facts}, sort_keys=True)})


def load_domain(path: str | Path) -> tuple[Domain, dict[str, Any]]:
    """The region of :func:`save_domain`, and the facts.  Raises StarglotError when the file cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as handle:
            facts = json.loads(handle.metadata()["starglot"])
            tensors = {name: handle.get_tensor(name) for name in _TENSORS}
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise StarglotError(
            f"what the model was trained on cannot be read: {error}",
            where=path,
            todo="copy the model's folder again, whole",
        ) from error
    numbers = {name: facts.pop(name) for name in ("most_distance", "most_residual", "width")}
    return Domain(**tensors, **numbers), facts
