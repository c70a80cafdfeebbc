"""Teaching the networks and kernels behind a projector's estimates, by themselves and before the language model.

A network of two hidden layers on a few hundred numbers learns in seconds what a language model behind frozen weights
takes hours for.  How many directions it reads and how strongly its weights decay is tried out; those that do best on
validation spectra answer together, by their mean.  Regression on kernels errs differently, and has a share in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from starglot.config.kinds.patch_llm import EstimateTraining, PixelAugment
from starglot.config.patches import Estimated, Kernels
from starglot.language.number_answers import NUMBERS, NumberScale
from starglot.models.baselines.kernels import Shown, fit_kernels, rbf
from starglot.models.estimates import AtLandmarks, make_network
from starglot.models.projector import Projector
from starglot.spectra.pixels import pixels, redraw_pixels
from starglot.spectra.sample_flux import evenly_spread
from starglot.training.lines import learn_lines
from starglot.training.small import fit_small

log = logging.getLogger(__name__)

#: The Huber loss turns linear at so many errors of a label, and an error is so much of the label's scatter at least
#: and at most.
_LINEAR_AT, _LEAST_ERROR, _LARGEST_ERROR = 2.5, 0.1, 1.0
#: Validation values of a label from which it takes part in a choice.
_ENOUGH = 20
#: Weight decay of the network that learns from altered spectra.
_LINES_DECAY = 0.1
#: Spectra whose pixels, or whose values, are made together.
_BLOCK = 512
#: Widths and penalties of kernels to choose from: of ``kind: kernel_ridge``.
_WIDTHS, _PENALTIES = (1.0, 2.0, 4.0, 8.0), (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True)
class Taught:
    """Spectra that estimates are taught from, or judged on: stored flux (n, grid) and truth (n, labels), NaN where
    missing."""

    flux: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Synthetic:
    """Synthetic spectra that teach lines, and the names of their labels."""

    spectra: Taught
    labels: Sequence[str]


def teach_estimates(
    projector: Projector,
    train: Taught,
    val: Taught,
    scales: Sequence[NumberScale],
    settings: EstimateTraining,
    augment: PixelAugment,
    wave: np.ndarray,
    seed: int,
    synthetic: Synthetic | None = None,
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """Teach ``projector.estimates`` the labels of the ``scales``, in place; returns what a manifest says of it.

    Training spectra are drawn anew ``settings.copies`` times as the language model's are (augment; wave: the grid,
    A).  Every choice of directions and weight decay is trained from the same weights; the best ones on validation
    spectra are taken, as many as the encoding asks for, or the first where these spectra are too few.

    Kernels are fitted to the same spectra, their widths and penalties chosen label by label on validation spectra.

    With ``synthetic`` spectra and the names of the ``labels`` they are then the teachers of as many others, which see
    altered spectra (:mod:`starglot.training.lines`) and read all directions: each learns what the first make of the
    spectrum as it was, plus what was changed.  As it never sees a catalogue's label again it can be taught for long
    without learning its errors by heart.  Kernels, which cannot be taught so, then count no more.
    """
    estimates, shape = projector.estimates, projector.settings.estimates
    assert estimates is not None and shape is not None
    started = time.monotonic()
    few = evenly_spread(len(train.flux), settings.spectra)
    copies = [list(_inputs(projector, train.flux, few, k, augment, wave, seed)) for k in range(settings.copies + 1)]
    inputs = torch.stack([torch.cat(each) for each in copies])
    seen = torch.cat([*_inputs(projector, val.flux, np.arange(len(val.flux)), 0, augment, wave, seed), inputs[0, :0]])
    target, judged = _fractions(train.truth[few], scales), _fractions(val.truth, scales)
    middle, scatter = _moments(target)
    error = torch.tensor([scale.error / (scale.step * (NUMBERS - 1)) for scale in scales], dtype=torch.float32)
    error = (error / scatter).clamp(_LEAST_ERROR, _LARGEST_ERROR)
    standard = (target - middle) / scatter
    counted = torch.isfinite(judged).sum(dim=0) >= _ENOUGH

    def val_error(found: Callable[[Tensor], Tensor]) -> float | None:
        """In units of the labels' scatter, a mean over labels; None where validation values are too few.  found: what
        makes standardised values of inputs."""
        if not counted.any():
            return None
        with torch.no_grad():
            off = _in_blocks(found, seen) - (judged - middle) / scatter
        return float(off[:, counted].square().nanmean(dim=0).sqrt().mean())

    tried = list[tuple[nn.Sequential, dict[str, Any]]]()
    for components, decay, again in _choices(shape, settings, bool(counted.any())):
        read = inputs.new_ones(inputs.shape[2])
        read[components : shape.components] = 0
        network = _train(inputs * read, standard, error, shape.width, settings, decay, seed + again)
        first = network[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            first.weight.mul_(read)  # so that it reads these directions alone by itself
        choice = {"components": components, "weight_decay": decay, "val_error": val_error(network)}
        tried.append((network, choice))
    if counted.any():
        tried.sort(key=lambda each: each[1]["val_error"])
    networks = [network for network, _ in tried[: shape.networks]]
    chosen = [choice for _, choice in tried[: shape.networks]]
    estimates.learnt(networks, middle, scatter)
    said: dict[str, Any] = {"networks": chosen, "train": len(few), "tried": len(tried)}
    if estimates.kernels is not None and shape.kernels is not None:
        known = (
            Shown(inputs.numpy(), standard.numpy()),
            Shown(seen[None].numpy(), ((judged - middle) / scatter).numpy()),
        )
        said["kernels"] = _fit_kernels(estimates.kernels, shape.kernels, *known)
    said["val_error"] = together = val_error(estimates.standardised)
    if synthetic is not None and settings.lines is not None:
        rows, flux = np.arange(len(synthetic.spectra.flux)), shape.components + projector.settings.coarse
        plain = torch.cat(list(_inputs(projector, synthetic.spectra.flux, rows, 0, augment, wave, seed)))
        changes = learn_lines(plain, synthetic.spectra.truth, synthetic.labels, settings.lines, flux, seed)
        with torch.no_grad():
            standard = _in_blocks(estimates.standardised, inputs[0])
        unit = scatter * torch.tensor([scale.high - scale.low for scale in scales], dtype=torch.float32)
        altered = _Altered(changes.of(inputs[0], labels), unit)
        passes = settings.lines.passes
        networks = [
            _train(inputs, standard, error, shape.width, settings, _LINES_DECAY, seed + k, passes, altered)
            for k in range(shape.networks)
        ]
        said["lines"] = {
            "synthetic": len(rows),
            "labels": [name for name in labels if name in changes.labels],
        }
        estimates.learnt(networks, middle, scatter)
        if estimates.kernels is not None:
            estimates.kernels.share.zero_()
        said["lines"]["val_error"] = val_error(estimates.standardised)
    log.info(
        "estimates of %d label(s) in %.0f s by %d network(s) of %d: %s; together they err by %s of the scatter",
        len(scales), time.monotonic() - started, len(networks), len(tried),
        ", ".join(f"{each['components']} directions with weight decay {each['weight_decay']:g}" for each in chosen),
        "an unknown part" if together is None else f"{together:.3f}",
    )  # fmt: skip
    return said


def _in_blocks(found: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """found(inputs), of a block of rows at a time: kernels take a number for each row and landmark."""
    return torch.cat([found(part) for part in torch.split(inputs, _BLOCK)])


def _fit_kernels(kernels: AtLandmarks, settings: Kernels, train: Shown, val: Shown) -> dict[str, Any]:
    """Fit kernels to training spectra, in place; what a manifest says of them, by label."""
    train, val = (Shown(each.numbers[..., kernels.read.numpy()], each.targets) for each in (train, val))
    few = evenly_spread(train.numbers.shape[1], settings.landmarks)
    groups = [[j] for j in range(train.targets.shape[1])]
    landmark = train.numbers[0, few]
    found = fit_kernels(rbf, landmark, _WIDTHS, _PENALTIES, groups, train, val)
    kernels.landmark[: len(few)] = torch.from_numpy(landmark)
    for j, each in enumerate(found):
        if each is not None:  # else the label has no training spectra
            kernels.dual[: len(few), j] = torch.from_numpy(each.dual[:, 0])
            kernels.intercept[j], kernels.width[j] = float(each.intercept[0]), each.width
            kernels.share[j] = settings.share
    return {
        "landmarks": len(few),
        "widths": [None if each is None else each.factor for each in found],
        "penalties": [None if each is None else each.fit.alpha for each in found],
    }


@dataclass(frozen=True)
class _Altered:
    """Changes of inputs and labels of rows, as :meth:`starglot.training.lines.LineChanges.of` draws them; unit
    (labels,): what makes these standardised ones."""

    draw: Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
    unit: Tensor


def _choices(shape: Estimated, settings: EstimateTraining, judged: bool) -> list[tuple[int, float, int]]:
    """Directions, weight decays and further seeds to try, as many networks as are needed at least; no more where
    nothing can tell which are better."""
    counts = dict.fromkeys(-(-shape.components // part) for part in (2, 1, 4))
    once = [(count, decay) for count in counts for decay in settings.weight_decays]
    every = [(*choice, again) for again in range(-(-shape.networks // len(once))) for choice in once]
    return every if judged else every[: shape.networks]


def _inputs(
    projector: Projector,
    flux: np.ndarray,
    rows: np.ndarray,
    copy: int,
    augment: PixelAugment,
    wave: np.ndarray,
    seed: int,
) -> Iterator[Tensor]:
    """Blocks of what the network reads, (rows, inputs): of the spectra as they are (copy 0), or drawn anew."""
    noise = projector.noise.numpy()
    for first in range(0, len(rows), _BLOCK):
        fine, coarse = pixels(np.asarray(flux[rows[first : first + _BLOCK]]), projector.settings.coarse, wave)
        if copy:
            rng = np.random.default_rng([seed, copy, first])
            fine, coarse = redraw_pixels(fine, coarse, augment, noise, wave, rng)
        with torch.no_grad():
            yield projector.estimated_from(torch.from_numpy(fine), torch.from_numpy(coarse))


def _fractions(truth: np.ndarray, scales: Sequence[NumberScale]) -> Tensor:
    """Labels (n, labels) as fractions of their ranges."""
    low = np.array([scale.low for scale in scales])
    reach = np.array([scale.high - scale.low for scale in scales])
    return torch.from_numpy(((truth - low) / reach).astype(np.float32))


def _moments(target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and scatter of each label; 0.5 and 1 where no spectrum has it."""
    known = torch.isfinite(target)
    count = known.sum(dim=0).clamp(min=1)
    middle = torch.where(known.any(dim=0), torch.nan_to_num(target).sum(dim=0) / count, 0.5)
    square = torch.where(known, (target - middle) ** 2, 0.0).sum(dim=0) / count
    return middle, torch.where(square > 0, square.sqrt(), 1.0)


def _train(
    inputs: Tensor,
    target: Tensor,
    error: Tensor,
    width: int,
    settings: EstimateTraining,
    decay: float,
    seed: int,
    passes: int | None = None,
    altered: _Altered | None = None,
) -> nn.Sequential:
    """A network for inputs (copies, n, k) and standardised labels (n, labels; NaN where missing); each pass draws a
    copy of each spectrum, and what is ``altered`` about it.  passes: None for those of the settings."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make_network(inputs.shape[2], width, target.shape[1])

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        copy = torch.randint(len(inputs), (len(rows),), generator=generator)
        given, wanted = inputs[copy, rows], target[rows]
        if altered is not None:
            change, in_labels = altered.draw(rows, generator)
            given, wanted = given + change, wanted + in_labels / altered.unit
        known = torch.isfinite(wanted)
        off = (network(given) - torch.nan_to_num(wanted)) / error
        each = huber_loss(off, torch.zeros_like(off), delta=_LINEAR_AT, reduction="none")
        return (each * known).sum() / known.sum().clamp(min=1)

    passes = settings.passes if passes is None else passes
    fit_small(network, len(target), passes, settings.batch, settings.learning_rate, decay, seed, loss)
    return network
