"""What the lines of one element change in a spectrum, learnt from synthetic spectra.

In a survey the elements follow each other, so what is taught on it answers magnesium from calcium.  In synthetic
spectra each abundance is drawn on its own; a small network learns from them what a spectrum's coordinates are at
given labels, as The Payne does (Ting et al. 2019, ApJ 879, 69).  The difference that it makes of a changed abundance,
added to a survey's spectrum, gives a star like the observed one but for that element: same noise, same calibration,
and another label.  Only differences are used, so that synthetic spectra need not agree with the survey.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from starglot.config.kinds.patch_llm import Lines
from starglot.errors import StarglotError
from starglot.labels import ABUNDANCE_NAMES
from starglot.models.estimates import make_network
from starglot.training.small import fit_small

#: Hidden layers, spectra a step, highest rate and weight decays of both networks.
_WIDTH, _BATCH, _RATE, _DECAY, _INVERSE_DECAY = 256, 64, 3e-3, 0.01, 1.0
#: Passes of the network from spectra to labels, as a part of the other's.
_INVERSE_PART = 0.4
#: Labels of an observed spectrum are kept within so many standard deviations of the synthetic ones.
_WITHIN = 3.0
#: Spectra from which a synthetic label says something.
_ENOUGH = 20


class Forward(nn.Module):
    """Inputs of the estimates' network (n, inputs) of standardised labels (n, labels): a linear map and a network."""

    def __init__(self, labels: int, inputs: int):
        super().__init__()
        self.straight, self.bent = nn.Linear(labels, inputs), make_network(labels, _WIDTH, inputs)

    def forward(self, labels: Tensor) -> Tensor:
        """See the class."""
        found: Tensor = self.straight(labels) + self.bent(labels)
        return found


@dataclass(frozen=True)
class LineChanges:
    """What changed abundances change: made by :func:`learn_lines`.

    labels: names in the networks' order; scatter (labels,): of the synthetic ones, in the labels' units; flux: inputs
    that come from flux, the first ones; the rest is noise, and no label's.
    """

    labels: tuple[str, ...]
    scatter: Tensor
    forward: nn.Module
    inverse: nn.Module
    settings: Lines
    flux: int

    def of(self, inputs: Tensor, asked: Sequence[str]) -> Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]:
        """A draw of changes for observed spectra.

        inputs: (n, inputs) of all of them as they are; asked: labels in the order of the changes.  The draw takes
        rows (b,) of ``inputs`` and returns the change of each in its inputs (b, inputs) and in its labels (b, asked),
        in the labels' units: small ones in all spectra, large ones of a few elements in those that are altered, and
        none in labels without lines.
        """
        with torch.no_grad():
            own = self.inverse(inputs).clamp(-_WITHIN, _WITHIN)
        pairs = [(at, self.labels.index(name)) for at, name in enumerate(asked) if name in _changed(self.labels)]
        here, there = ([pair[side] for pair in pairs] for side in (0, 1))
        how = self.settings

        @torch.no_grad()
        def draw(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            altered = torch.rand(len(rows), 1, generator=generator) < how.altered
            chosen = altered & (torch.rand(len(rows), len(pairs), generator=generator) < how.elements)
            size = how.reach * (2 * torch.rand(len(rows), len(pairs), generator=generator) - 1)
            changed = torch.zeros(len(rows), len(asked))
            changed[:, here] = torch.where(chosen, size, 0.0)
            changed[:, here] += how.scatter * torch.randn(len(rows), len(pairs), generator=generator)
            after = own[rows]
            before = after.clone()
            after[:, there] += changed[:, here] / self.scatter[there]
            change = torch.zeros(len(rows), inputs.shape[1])
            change[:, : self.flux] = self.forward(after) - self.forward(before)
            return change, changed

        return draw


def learn_lines(
    inputs: Tensor, truth: np.ndarray, labels: Sequence[str], settings: Lines, flux: int, seed: int
) -> LineChanges:
    """Learn what labels make of spectra, and labels from spectra, from synthetic spectra.

    inputs: (n, inputs) as the estimates' network reads them; truth: (n, labels) in the labels' units, NaN where
    missing (taken for the mean); flux: how many of the inputs come from flux, the first ones.
    Raises StarglotError when no label of the spectra is an abundance that varies.
    """
    finite = np.isfinite(truth)
    given = np.where(finite.any(axis=0), truth, 0.0)
    varies = np.nanmax(given, axis=0) > np.nanmin(given, axis=0)
    known, scatter = np.flatnonzero((finite.sum(axis=0) >= _ENOUGH) & varies), np.nanstd(given, axis=0)
    names = tuple(labels[int(at)] for at in known)
    if not _changed(names):
        raise StarglotError(
            "synthetic spectra that teach lines have no abundance that varies",
            where=f"task of {', '.join(labels)}",
            allowed=", ".join(ABUNDANCE_NAMES),
            todo="name a task of synthetic spectra whose abundances are drawn independently",
        )
    values = truth[:, known]
    standard = torch.from_numpy(((values - np.nanmean(values, axis=0)) / scatter[known]).astype(np.float32))
    standard = torch.nan_to_num(standard)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        forward = Forward(len(names), flux)
        inverse = make_network(inputs.shape[1], _WIDTH, len(names))
    _fit(forward, standard, inputs[:, :flux], settings.synthetic_passes, _DECAY, seed)
    _fit(inverse, inputs, standard, max(1, round(_INVERSE_PART * settings.synthetic_passes)), _INVERSE_DECAY, seed)
    spread = torch.from_numpy(scatter[known].astype(np.float32))
    return LineChanges(names, spread, forward, inverse, settings, flux)


def _changed(labels: Sequence[str]) -> list[str]:
    """Those whose lines are learnt: abundances over iron."""
    return [name for name in labels if name in ABUNDANCE_NAMES]


def _fit(network: nn.Module, given: Tensor, wanted: Tensor, passes: int, decay: float, seed: int) -> None:
    """Least squares, in place; nothing is trained of it afterwards."""

    def loss(rows: Tensor, _: torch.Generator) -> Tensor:
        off: Tensor = network(given[rows]) - wanted[rows]
        return off.square().mean()

    fit_small(network, len(given), passes, _BATCH, _RATE, decay, seed, loss)
    network.requires_grad_(False)
