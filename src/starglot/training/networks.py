"""Training of networks that read a spectrum: scales of features and labels, the epochs, the scatter at the end."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from starglot.config.kinds.baselines import Network
from starglot.config.transfer import NetworkTransfer, takes_steps
from starglot.models.baselines.features import coarse_values, prepared
from starglot.models.baselines.networks import build_network
from starglot.models.baselines.reading import Scales, label_scales, save_network, use_device
from starglot.models.baselines.scatter import accuracy, held_out_scatter, rms
from starglot.models.baselines.updates import save_updates
from starglot.spectra.sample_flux import evenly_spread
from starglot.training.baselines import Fitted, Work, split_bins
from starglot.training.embeddings import split_embeddings
from starglot.training.epochs import left_as_it_is, train, write_curve
from starglot.training.start import start_from
from starglot.training.supervised import BLOCK, Features, Spectra, Supervised
from starglot.training.transfer import Finish, Updated, prepare

#: Spectra that scales and training scatter are taken from, at most.
_ENOUGH = 50_000


def fit_network(work: Work) -> Fitted:
    """Train, keep the weights of the best epoch, measure the scatter; writes weights and ``loss.csv``.

    Raises StarglotError when a GPU is asked for and not there, and when the loss is not a finite number.
    """
    # ---- set up
    settings: Network = work.settings
    device = use_device(settings.gpus)
    bins, val_bins = _features(work, device)
    scales = _scales(work, bins)
    torch.manual_seed(settings.seed)
    inputs, coarse = len(scales.input_shift), coarse_values(settings)
    network = build_network(settings, inputs, coarse, len(work.task.labels), work.train.outputs)
    transfer = settings.transfer or NetworkTransfer()
    learner: nn.Module = network
    finish: Finish | None = None
    if work.start is not None:
        scales, fresh = start_from(work.start, settings.kind, network, work.task.labels, scales)
        learner, finish = prepare(network, transfer, fresh, inputs, work.task.labels, work.train.outputs)
    spectra, val = Spectra(work.train, bins, settings, scales), Spectra(work.val, val_bins, settings, scales)

    # ---- train
    objective, plan = Supervised(spectra, val), settings.training
    if work.start is not None and not takes_steps(transfer):
        trained = left_as_it_is(learner, objective, plan, device)
    else:
        title = f"{settings.kind}, {work.task.question.form}"
        trained = train(learner, objective, plan, settings.seed, device, work.checkpoints, title)
    if isinstance(learner, Updated):
        save_updates(learner.updates(), work.made)
    network = finish() if finish else network

    # ---- measure
    few = evenly_spread(len(work.train), _ENOUGH)
    seen, _ = spectra.read(network, few, device)
    values, predicted = val.read(network, np.arange(len(val)), device)
    residuals = values - work.val.truth
    sigma = held_out_scatter(seen - work.train.truth[few], residuals, predicted, len(work.train.groups))

    # ---- save
    save_network(network, scales, sigma, settings, work.task, work.made)
    write_curve(trained.curve, work.made / "loss.csv")
    return Fitted(
        counts={**trained.counts, "parameters": sum(weight.numel() for weight in network.parameters())},
        metrics={
            "train_loss": trained.at_best["loss"],
            "val_loss": trained.at_best["val_loss"] if len(val) else None,
            "val_class_accuracy": accuracy(predicted, work.val.group),
        },
        by_label={"val_rmse": [rms(residuals[:, j]) for j in range(len(work.task.labels))]},
    )


def _features(work: Work, device: torch.device) -> tuple[Features, Features]:
    """What is read of training and validation spectra: bins of flux, or a base's embeddings."""
    if getattr(work.settings, "base", None) is None:
        return split_bins(work, np.arange(len(work.train)))
    return split_embeddings(work, device)


def _scales(work: Work, bins: Features) -> Scales:
    """From the training spectra alone; of a large sample, an even part tells the inputs' scales."""
    settings: Network = work.settings
    few = evenly_spread(len(bins), _ENOUGH)
    count = bins.count + coarse_values(settings)
    shift, scale = np.zeros(count), np.ones(count)
    if settings.inputs == "standard":
        total, square = np.zeros(count), np.zeros(count)
        for first in range(0, len(few), BLOCK):
            features = prepared(bins[few[first : first + BLOCK]], settings).astype(float)
            total, square = total + features.sum(axis=0), square + (features**2).sum(axis=0)
        shift = total / len(few)
        spread = np.sqrt(np.maximum(square / len(few) - shift**2, 0.0))
        scale = np.where(spread > 1e-6 * max(float(spread.max()), 1e-12), spread, 1.0)  # a constant value stays 0
    return Scales(shift, scale, *label_scales(settings.labels, work.train.truth))
