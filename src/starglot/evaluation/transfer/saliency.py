"""Saliency: how a label answers to the flux of each pixel, |d label / d flux|, in the rest frame of the star.

As the transfer paper shows it (appendix B, after Simonyan et al. 2013); flux is that of the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from starglot.evaluation.statistics import interval, resampled_median, star_resamples
from starglot.models.baselines.reading import BATCH, Scales
from starglot.models.baselines.residual import Corrected
from starglot.spectra.air import air_to_vacuum

_LIGHT = 299792.458  # km/s
#: Half of the window about a line (A).
WINDOW = 3.0


@dataclass(frozen=True)
class Line:
    """A line of the rest frame: species, name for a figure, and wavelength in vacuum (A)."""

    species: str
    name: str
    wavelength: float


#: Air wavelengths (A; NIST Atomic Spectra Database) of strong lines of stars between 3900 and 6600 A.
_IN_AIR: tuple[tuple[str, str, float], ...] = (
    ("Ca II", "Ca K", 3933.66),
    ("Ca II", "Ca H", 3968.47),
    ("Fe I", "Fe", 4045.81),
    ("H I", "Hδ", 4101.74),
    ("Ca I", "Ca", 4226.73),
    ("Fe I", "Fe", 4271.76),
    ("H I", "Hγ", 4340.47),
    ("Fe I", "Fe", 4383.54),
    ("Mg I", "Mg", 4702.99),
    ("H I", "Hβ", 4861.33),
    ("Fe I", "Fe", 4957.60),
    ("Mg I", "Mg b", 5167.32),
    ("Mg I", "", 5172.68),
    ("Mg I", "", 5183.60),
    ("Fe I", "Fe", 5269.54),
    ("Fe I", "Fe", 5328.04),
    ("Ca I", "Ca", 5588.75),
    ("Ca I", "Ca", 6162.17),
    ("H I", "Hα", 6562.80),
)
LINES: tuple[Line, ...] = tuple(
    Line(species, name, float(air_to_vacuum(np.array([air]))[0])) for species, name, air in _IN_AIR
)


def saliency(network: nn.Module, scales: Scales, features: np.ndarray, label: int) -> np.ndarray:
    """(n, inputs) |d label / d flux| of a network that reads flux as it is, in the label's unit.

    features: (n, inputs) flux, as the network is given it before it is scaled; label: its place among the labels.
    """
    network.eval()
    out = np.empty(features.shape)
    for first in range(0, len(features), BATCH):
        inputs = torch.from_numpy(scales.inputs(features[first : first + BATCH])).requires_grad_(True)
        values = _labels(network, inputs)
        (gradient,) = torch.autograd.grad(values[:, label].sum(), inputs)
        out[first : first + BATCH] = np.abs(gradient.numpy()) * scales.label_scale[label] / scales.input_scale
    return out


def _labels(network: nn.Module, inputs: Tensor) -> Tensor:
    """(n, labels) with gradients; a corrected network lets none through to the one below, which stays in training."""
    if isinstance(network, Corrected):
        below: Tensor = _labels(network.network, inputs)
        corrected: Tensor = below + network.correction(inputs)
        return corrected
    values: Tensor = network(inputs)[1]
    return values


def at_rest(values: np.ndarray, wavelength: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Values (n, m) at ``wavelength`` (m,) of the rest frame, from spectra that recede by ``velocity`` (n,; km/s).

    NaN beyond what was observed.
    """
    return np.stack(
        [
            np.interp(wavelength * (1 + v / _LIGHT), wavelength, row, left=np.nan, right=np.nan)
            for row, v in zip(values, velocity, strict=True)
        ]
    )


def line_sensitivity(
    values: np.ndarray, wavelength: np.ndarray, line: Line, star: np.ndarray, level: float, replicates: int, seed: int
) -> tuple[float, float, float]:
    """Median over spectra of the saliency about a line, in units of a spectrum's median; its interval over stars.

    values: (n, m) of the rest frame; wavelength: (m,); star: (n,) codes.  1 is as sensitive as elsewhere.
    NaN where the line is not in the range.
    """
    near = np.abs(wavelength - line.wavelength) <= WINDOW
    nothing = (float("nan"),) * 3
    if not near.any() or not wavelength[0] + WINDOW <= line.wavelength <= wavelength[-1] - WINDOW:
        return nothing
    with np.errstate(invalid="ignore"):
        ratio = np.nanmean(values[:, near], axis=1) / np.nanmedian(values, axis=1)
    known = np.isfinite(ratio)
    if not known.any():
        return nothing
    ratio, star = ratio[known], np.unique(star[known], return_inverse=True)[1]
    order = np.argsort(ratio, kind="stable")
    copies = [
        resampled_median(np.broadcast_to(ratio[order], (len(counts), len(ratio))), counts[:, star][:, order])
        for counts in star_resamples(int(star.max()) + 1, replicates, seed, len(ratio))
    ]
    low, high = interval(np.concatenate(copies), level)
    return float(np.median(ratio)), low, high
