"""From pixels to tokens: statistics of training flux that stay as they are, and the trained map to a base's width.

Means, noise and principal directions are taken from flux alone, never from a label, so that what the projector is
trained for meets pixels that all carry about the same.  They travel with the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from starglot.config.patches import Patches
from starglot.errors import StarglotError
from starglot.models.estimates import Estimates
from starglot.registry import Registry

#: Spectra that statistics are taken from, at most: a thousand and more give means and directions to a few per cent.
ENOUGH = 1600
#: Directions that are taken for signal where noise is measured, and the noise's smoothing along the grid (values).
_SIGNAL, _SMOOTHING = 40, 3.0
#: Least noise and scatter of a pixel, and of a coarse value.
_LEAST_NOISE, _LEAST_SCATTER, _LEAST_COARSE = 2e-3, 1e-4, 1e-3
#: A direction of this variance, in units of the noise, is shrunk by half (whitening 1).
_KNEE = 8.0
#: Standardised pixels beyond are cut: plain and whitened ones.
_PLAIN_LIMIT, _WHITENED_LIMIT = 8.0, 12.0
#: Coordinates along principal directions, in units of their scatter, are cut beyond.
_COMPONENT_LIMIT = 8.0
#: Least noise that a network hears of, in units of the typical noise: what it is taught on has hardly less.
_LEAST_LEVEL = 0.3
#: Part of the first size of a token that comes from its pixels; the rest is its place.
_FROM_PIXELS = 0.7
#: A last patch that would bring less than this part of its width anew is left out.
_WORTH_A_PATCH = 0.05


@dataclass(frozen=True)
class Statistics:
    """Of training spectra: mean, scatter and noise of a pixel (m,); directions (k, m) of (pixels - mean) / noise and
    their variances (k,), strongest first; mean and scatter of the coarse values (c,)."""

    mean: np.ndarray
    scatter: np.ndarray
    noise: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    coarse_mean: np.ndarray
    coarse_scatter: np.ndarray


def statistics_of(fine: np.ndarray, coarse: np.ndarray, directions: int) -> Statistics:
    """Statistics of pixels (n, m; NaN where missing) and coarse values (n, c); directions: how many, at most n - 1.

    Noise is what the spectrum's main directions leave, so lines are no noise.
    Raises StarglotError when there are too few spectra.
    """
    n, m = fine.shape
    if n < 4:
        raise StarglotError(
            f"{n} training spectra are too few for the statistics of pixels", allowed="4 or more", todo="take more"
        )
    gone = np.isnan(fine)
    values = fine.astype(np.float64)
    count = np.maximum((~gone).sum(axis=0), 1)
    mean = np.where(gone, 0.0, values).sum(axis=0) / count
    centred = np.where(gone, 0.0, values - mean)
    scatter = np.sqrt((centred**2).sum(axis=0) / count) + _LEAST_SCATTER
    rank = min(_SIGNAL, n // 4, max(1, m // 20))
    left, _ = _directions_of(centred, rank)
    rest = centred - left @ (left.T @ centred)
    noise = np.sqrt((rest**2).mean(axis=0) * n / (n - rank) * m / (m - rank))
    noise = np.maximum(gaussian_filter1d(noise, _SMOOTHING), _LEAST_NOISE)
    over_noise = centred / noise
    left, power = _directions_of(over_noise, min(directions, n - 1))
    return Statistics(
        mean=mean,
        scatter=scatter,
        noise=noise,
        directions=(left / np.sqrt(power)).T @ over_noise,
        variances=power / n,
        coarse_mean=coarse.mean(axis=0),
        coarse_scatter=coarse.std(axis=0) + _LEAST_COARSE,
    )


def _directions_of(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors (n, count) of (n, m) rows and squares of their values, strongest first."""
    power, vectors = np.linalg.eigh(rows @ rows.T)
    return vectors[:, ::-1][:, :count], np.maximum(power[::-1][:count], np.finfo(float).tiny)


def patch_starts(size: int, width: int, step: int) -> list[int]:
    """First values of the patches of a grid of ``size`` values; the last patch ends where the grid ends.

    So it overlaps with the one before where the grid is no multiple of the step.  Where it would bring less than a
    twentieth of its width anew, it is left out, and these few values with it.
    Raises StarglotError when a patch is wider than the grid.
    """
    if width > size:
        raise StarglotError(
            f"a patch of {width} values is wider than the wavelength grid",
            where="encodings: width",
            allowed=f"2 to {size}",
            todo="lower `width`",
        )
    starts = list(range(0, size - width + 1, step))
    if size - starts[-1] - width > _WORTH_A_PATCH * width:
        starts.append(size - width)
    return starts


class Projector(nn.Module):
    """Tokens (n, tokens, hidden) of pixels (n, size) and coarse values (n, coarse): a patch each, then the shape.

    With ``estimates`` one more for each label: what small models make of the coarse values and of the coordinates
    along the strongest principal directions, of which the strongest are shrunk towards the noise
    (:mod:`starglot.models.estimates`).  With an embedding of the spectrum, by an encoder that stays as it is, one
    more in the end.

    A missing pixel (NaN) counts as its mean, and a token is told which part of its patch is missing.
    """

    mean: Tensor
    divisor: Tensor
    noise: Tensor
    directions: Tensor
    shrink: Tensor
    coarse_mean: Tensor
    coarse_scatter: Tensor
    out_size: Tensor
    principal: Tensor
    strength: Tensor
    index: Tensor

    def __init__(
        self,
        settings: Patches,
        size: int,
        hidden: int,
        out_size: float,
        statistics: Statistics | None = None,
        labels: int = 0,
        embedded: int = 0,
    ):
        """size: values of the grid; out_size: standard deviation of a first token's numbers, as of the base's own;
        statistics: None where a saved projector's are loaded; labels: how many are estimated; embedded: numbers of an
        embedding, 0 for none."""
        super().__init__()
        self.settings = settings
        starts = patch_starts(size, settings.width, settings.step)
        for name, value in _fixed(settings, size, statistics).items():
            self.register_buffer(name, torch.from_numpy(np.asarray(value, np.float32)))
        self.register_buffer("out_size", torch.tensor(float(out_size)))
        index = torch.tensor(starts)[:, None] + torch.arange(settings.width)
        self.register_buffer("index", index, persistent=False)
        self.patches, self.hidden = len(starts), hidden
        channels = 2 if settings.channels == "both" else 1
        self.map = PROJECTORS[settings.projector](settings.width, channels, self.patches, hidden, out_size)
        self.place = nn.Parameter(torch.randn(self.patches, hidden) * out_size)
        self.missing = nn.Parameter(torch.zeros(hidden))
        self.shape = nn.Linear(settings.coarse, hidden)
        self.estimates: Estimates | None = None
        if settings.estimates is not None and labels:
            self.renew_estimates(labels)
        self.embedding = Embedding(embedded, hidden) if embedded else None

    def renew_estimates(self, labels: int) -> None:
        """Fresh estimates, of so many labels; how an estimate is written stays where it was learnt."""
        settings, earlier = self.settings.estimates, self.estimates
        assert settings is not None
        self.estimates = Estimates(settings, self.settings.coarse, labels, self.hidden)
        if earlier is not None:
            self.estimates.written = earlier.written

    @property
    def tokens(self) -> int:
        """Tokens of a spectrum."""
        estimated = 0 if self.estimates is None else len(self.estimates.middle)
        return self.patches + 1 + estimated + (self.embedding is not None)

    def scaled(self, fine: Tensor) -> Tensor:
        """(n, size) pixels to (n, channels, size) standardised ones; missing ones are 0."""
        centred = torch.nan_to_num(fine - self.mean, nan=0.0)
        plain = (centred / self.divisor).clamp(-_PLAIN_LIMIT, _PLAIN_LIMIT)
        if self.settings.channels == "plain":
            return plain[:, None]
        over = centred / self.noise
        whitened = over - ((over @ self.directions.T) * self.shrink) @ self.directions
        whitened = whitened.clamp(-_WHITENED_LIMIT, _WHITENED_LIMIT)
        return whitened[:, None] if self.settings.channels == "whitened" else torch.stack([plain, whitened], dim=1)

    def forward(
        self, fine: Tensor, coarse: Tensor, changed: Tensor | None = None, embedded: Tensor | None = None
    ) -> Tensor:
        """float32, whatever the base computes in; changed: of the estimates, as they take it; embedded: embeddings
        (n, numbers), where they are read."""
        with torch.autocast(fine.device.type, enabled=False):
            tokens = self.map(self.scaled(fine), self.index) + self.place
            gone = torch.isnan(fine)[:, self.index].float().mean(dim=2)
            tokens = tokens + gone[..., None] * self.missing
            shape = (coarse - self.coarse_mean) / self.coarse_scatter
            further = [self.shape(shape)[:, None]]
            if self.estimates is not None:
                further.append(self.estimates(self.estimated_from(fine, coarse), changed))
            if self.embedding is not None:
                assert embedded is not None
                further.append(self.embedding(embedded)[:, None])
            return torch.cat([tokens, *(each * self.out_size for each in further)], dim=1)

    def estimated_from(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """What the estimates' networks read, (n, components + coarse): coordinates along principal directions, the
        strongest shrunk towards the noise and all about 1 in size, and the standardised coarse values.  With `noise`
        one number more: the logarithm of what the directions leave, in units of the typical noise."""
        over = torch.nan_to_num(fine - self.mean, nan=0.0) / self.noise
        along = over @ self.principal.T
        clipped = along.clamp(-_COMPONENT_LIMIT, _COMPONENT_LIMIT) * self.strength
        parts = [clipped, (coarse - self.coarse_mean) / self.coarse_scatter]
        if self.settings.estimates is not None and self.settings.estimates.noise:
            size = self.principal.square().sum(dim=1)
            used = size > 0
            left = over.square().sum(dim=1) - (along[:, used].square() / size[used]).sum(dim=1)
            free = torch.isfinite(fine).sum(dim=1) - used.sum()
            parts.append(0.5 * torch.log((left / free.clamp(min=1)).clamp(min=_LEAST_LEVEL**2))[:, None])
        return torch.cat(parts, dim=1)


class Embedding(nn.Module):
    """A token (n, hidden) of an encoder's embedding (n, numbers), each number taken less its mean, by its scatter."""

    mean: Tensor
    scatter: Tensor

    def __init__(self, numbers: int, hidden: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("scatter", torch.ones(numbers))
        self.map = nn.Linear(numbers, hidden)

    @torch.no_grad()
    def standardise(self, training: np.ndarray) -> None:
        """Take mean and scatter from embeddings (n, numbers) of training spectra, or of some among many."""
        some = np.asarray(training[:: -(-len(training) // ENOUGH)])
        self.mean.copy_(torch.from_numpy(some.mean(axis=0)))
        self.scatter.copy_(torch.from_numpy(some.std(axis=0) + _LEAST_SCATTER))

    def forward(self, embedded: Tensor) -> Tensor:
        """See the class."""
        token: Tensor = self.map((embedded - self.mean) / self.scatter)
        return token


def _fixed(settings: Patches, size: int, statistics: Statistics | None) -> dict[str, np.ndarray]:
    """Buffers by name, zeros where statistics are to be loaded."""
    if statistics is None:
        grid, shape = np.zeros(size), np.zeros(settings.coarse)
        empty = np.zeros((settings.directions, size)), np.zeros(settings.directions)
        found = Statistics(grid, grid, grid, *empty, shape, shape)
    else:
        found = statistics
    fixed = {
        "mean": found.mean,
        "divisor": found.noise if settings.scaling == "noise" else found.scatter,
        "noise": found.noise,
        "coarse_mean": found.coarse_mean,
        "coarse_scatter": found.coarse_scatter,
    }
    if settings.channels != "plain":
        # Fewer spectra than directions give fewer of them: the rest is zero, and shrinks nothing.
        directions, shrink = np.zeros((settings.directions, size)), np.zeros(settings.directions)
        count = min(settings.directions, len(found.variances))
        directions[:count] = found.directions[:count]
        shrink[:count] = 1 - (_KNEE / (found.variances[:count] + _KNEE)) ** (settings.whitening / 2)
        fixed |= {"directions": directions, "shrink": shrink}
    if settings.estimates is not None:
        principal, strength = np.zeros((settings.estimates.components, size)), np.zeros(settings.estimates.components)
        count = min(settings.estimates.components, len(found.variances))
        if count:
            variances = found.variances[:count]
            principal[:count] = found.directions[:count] / np.sqrt(variances[:, None] + _LEAST_SCATTER)
            shrunk = np.sqrt(variances) * (_KNEE / (variances + _KNEE)) ** (settings.whitening / 2)
            strength[:count] = shrunk / np.sqrt(np.mean(shrunk**2) + _LEAST_SCATTER**2)
        fixed |= {"principal": principal, "strength": strength}
    return fixed


# ---------------------------------------------------------------- maps from patches to tokens


class SharedMap(nn.Module):
    """One linear map for all patches."""

    def __init__(self, width: int, channels: int, patches: int, hidden: int, out_size: float):
        super().__init__()
        self.weight = nn.Parameter(_first(1, channels * width, hidden, out_size))

    def forward(self, values: Tensor, index: Tensor) -> Tensor:
        """values: (n, channels, size); index: (patches, width); returns (n, patches, hidden)."""
        return _cut(values, index) @ self.weight[0]


class PatchMap(nn.Module):
    """A linear map of each patch's own."""

    def __init__(self, width: int, channels: int, patches: int, hidden: int, out_size: float):
        super().__init__()
        self.weight = nn.Parameter(_first(patches, channels * width, hidden, out_size))

    def forward(self, values: Tensor, index: Tensor) -> Tensor:
        """As of :class:`SharedMap`."""
        return torch.bmm(_cut(values, index).transpose(0, 1), self.weight).transpose(0, 1)


class MlpMap(PatchMap):
    """A linear map of each patch's own, and two layers that all share, added to it."""

    def __init__(self, width: int, channels: int, patches: int, hidden: int, out_size: float):
        super().__init__(width, channels, patches, hidden, out_size)
        self.further = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        )
        self.out_size = out_size

    def forward(self, values: Tensor, index: Tensor) -> Tensor:
        """As of :class:`SharedMap`."""
        tokens = super().forward(values, index)
        further: Tensor = self.further(tokens)
        return tokens + self.out_size * further


class ConvMap(nn.Module):
    """Convolutions along the grid, then a linear map of each patch's own."""

    #: Channels between, and values that a convolution sees.
    INNER, SEEN = (8, 8), 7

    def __init__(self, width: int, channels: int, patches: int, hidden: int, out_size: float):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *self.INNER)):
            layers += [nn.GELU()] if layers else []
            layers.append(nn.Conv1d(before, after, self.SEEN, padding=self.SEEN // 2))
        self.along = nn.Sequential(*layers)
        self.patch = PatchMap(width, self.INNER[-1], patches, hidden, out_size)

    def forward(self, values: Tensor, index: Tensor) -> Tensor:
        """As of :class:`SharedMap`."""
        tokens: Tensor = self.patch(self.along(values), index)
        return tokens


def _first(maps: int, inputs: int, hidden: int, out_size: float) -> Tensor:
    return torch.randn(maps, inputs, hidden) * (_FROM_PIXELS * out_size / math.sqrt(inputs))


def _cut(values: Tensor, index: Tensor) -> Tensor:
    """(n, channels, size) to (n, patches, channels x width)."""
    return values[:, :, index].permute(0, 2, 1, 3).flatten(2)


#: Maps from patches to tokens, by the name that `projector` gives in the configuration.
PROJECTORS: Registry[Callable[[int, int, int, int, float], nn.Module]] = Registry(
    {"shared": SharedMap, "patch": PatchMap, "mlp": MlpMap, "conv": ConvMap}
)
