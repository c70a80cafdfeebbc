"""Training of networks on spectra: epochs over a mapped sample, resumed from the last whole epoch, bit for bit."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm import tqdm

from starglot.config.baselines import Network, NetworkTraining
from starglot.errors import StarglotError
from starglot.models.baselines.features import coarse_values, prepared
from starglot.models.baselines.networks import build_network
from starglot.models.baselines.reading import (
    Scales,
    forward,
    label_scales,
    read_features,
    save_network,
    use_device,
)
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import accuracy, held_out_scatter, rms
from starglot.spectra.redraw import redraw_flux
from starglot.spectra.sample_flux import Bins
from starglot.store import newest_good, prune, seal
from starglot.tables import read_json, write_json, write_text
from starglot.training.baselines import Fitted, Work, split_bins
from starglot.training.begun import note_length
from starglot.training.start import start_from

log = logging.getLogger(__name__)

#: Spectra that are looked at together outside of training steps, and at most for scales and training scatter.
_BLOCK, _ENOUGH = 2048, 50_000
#: Columns of the loss curve.
_CURVE = ("step", "epoch", "loss", "learning_rate", "val_loss")


@dataclass
class Losses:
    """Sums for the loss of any number of spectra: cross-entropy of known classes, squared error of known labels."""

    entropy: Any = 0.0
    classes: Any = 0
    squared: Any = 0.0
    values: Any = 0

    def add(self, logits: Tensor, values: Tensor, code: Tensor, target: Tensor) -> None:
        """Take in spectra: logits (n, classes), values (n, labels); code (n,), -1 unknown; target NaN if missing."""
        known, told = torch.isfinite(target), code >= 0
        self.entropy = self.entropy + cross_entropy(logits, code, ignore_index=-1, reduction="sum")
        self.classes = self.classes + told.sum()
        self.squared = self.squared + torch.where(known, values - torch.nan_to_num(target), 0.0).square().sum()
        self.values = self.values + known.sum()

    def total(self, regression_weight: float) -> Any:
        """Mean cross-entropy + weight x mean squared error (paper 4.1 and 4.2)."""
        entropy = self.entropy / self.classes.clamp(min=1)
        return entropy + regression_weight * self.squared / self.values.clamp(min=1)


@dataclass
class Progress:
    """Where a training stands after an epoch: all that its continuation needs besides tensors."""

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    learning_rate: float = 0.0
    plateau: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


class Spectra:
    """Features and targets of some rows in the network's units, by number."""

    def __init__(self, rows: Rows, bins: Bins, settings: Network, scales: Scales):
        self.bins, self.settings, self.scales = bins, settings, scales
        self.code = torch.from_numpy(rows.code.astype(np.int64))
        self.target = torch.from_numpy(scales.labels(rows.truth))

    def __len__(self) -> int:
        return len(self.bins)

    def features(self, chosen: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """float32 (chosen, features); with ``rng`` the flux is drawn anew."""
        flux = self.bins[chosen]
        augment = self.settings.training.augment
        if rng is not None and augment.changes:
            flux = redraw_flux(flux, augment, rng).astype(np.float32)
        return self.scales.inputs(prepared(flux, self.settings))

    def starts(self) -> list[int]:
        """Where the batches of a pass begin; a last one of one spectrum, which cannot be normalised, is left out."""
        n = len(self)
        return [first for first in range(0, n, self.settings.training.batch) if n - first > 1 or not first]

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of one pass, in an order of its own; the next is made ready while one is in use."""
        seed, size = self.settings.seed, self.settings.training.batch
        order = np.random.default_rng([seed, epoch]).permutation(len(self))
        starts = self.starts()

        def batch(first: int) -> tuple[Tensor, Tensor, Tensor]:
            chosen = order[first : first + size]
            features = self.features(chosen, np.random.default_rng([seed, epoch, first]))
            return torch.from_numpy(features), self.code[chosen], self.target[chosen]

        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(batch, starts[0])
            for first in [*starts[1:], None]:
                ready = waiting.result()
                if first is not None:
                    waiting = ahead.submit(batch, first)
                yield ready


def fit_network(work: Work) -> Fitted:
    """Train, keep the weights of the best epoch, measure the scatter; writes weights and ``loss.csv``.

    Raises StarglotError when a GPU is asked for and not there, and when the loss is no number any more.
    """
    # ---- set up
    settings: Network = work.settings
    device = use_device(settings.gpus)
    n = len(work.train)
    bins, val_bins = split_bins(work, np.arange(n))
    scales = _scales(work, bins)
    torch.manual_seed(settings.seed)
    inputs, coarse = len(scales.input_shift), coarse_values(settings)
    network = build_network(settings, inputs, coarse, len(work.task.labels), work.train.outputs)
    if work.start is not None:
        scales = start_from(work.start, settings.kind, network, work.task.labels, scales)
    network.to(device)
    train, val = Spectra(work.train, bins, settings, scales), Spectra(work.val, val_bins, settings, scales)

    # ---- train
    note_length(work.checkpoints.parent, settings.training.epochs, "epochs")
    trainer = _Trainer(network, train, val if len(val) else train, device, work.checkpoints)
    progress, best = trainer.run(f"{settings.kind}, {work.task.question.form}")
    network.load_state_dict(best)

    # ---- measure
    few = np.unique(np.linspace(0, n - 1, min(n, _ENOUGH)).astype(int))
    seen, _ = _read(network, train, few, device)
    told, predicted = _read(network, val, np.arange(len(val)), device)
    residuals = told - work.val.truth
    sigma = held_out_scatter(seen - work.train.truth[few], residuals, predicted, len(work.train.groups))

    # ---- save
    save_network(best, scales, sigma, settings, work.task, work.made)
    _write_curve(progress.curve, work.made / "loss.csv")
    steps = int(progress.curve[-1]["step"])
    at_best = progress.curve[progress.best_epoch - 1]
    return Fitted(
        counts={
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch,
            "steps": steps,
            "examples": progress.epoch * n,
            "trainable_parameters": sum(p.numel() for p in network.parameters()),
        },
        metrics={
            "train_loss": at_best["loss"],
            "val_loss": at_best["val_loss"] if len(val) else None,
            "val_class_accuracy": accuracy(predicted, work.val.code),
        },
        by_label={"val_rmse": [rms(residuals[:, j]) for j in range(len(work.task.labels))]},
    )


class _Trainer:
    """The epochs of one training, and its checkpoints."""

    def __init__(self, network: nn.Module, train: Spectra, held_out: Spectra, device: torch.device, folder: Path):
        self.network, self.train, self.held_out, self.device, self.folder = network, train, held_out, device, folder
        self.plan: NetworkTraining = train.settings.training
        self.per_epoch = len(train.starts())
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=self.plan.learning_rate, weight_decay=self.plan.weight_decay
        )
        self.plateau = ReduceLROnPlateau(
            self.optimiser, factor=self.plan.factor, patience=self.plan.patience - 1, threshold=0.0
        )

    def run(self, title: str) -> tuple[Progress, dict[str, Tensor]]:
        """All epochs, from the newest good checkpoint if there is one: (progress, weights of the best epoch)."""
        progress, best = self._resume()
        n = len(self.train)
        with tqdm(
            total=self.plan.epochs * n, initial=progress.epoch * n, desc=title, unit=" spectra", mininterval=2
        ) as bar:
            while progress.epoch < self.plan.epochs and not self._stopped(progress):
                loss = self._epoch(progress.epoch, bar)
                held_out = self._validate()
                if not math.isfinite(loss + held_out):
                    raise StarglotError(
                        f"the loss is no number any more in epoch {progress.epoch + 1}",
                        where="models: training",
                        todo="lower learning_rate or regression_weight",
                    )
                progress.epoch += 1
                progress.curve.append(
                    {
                        "step": progress.epoch * self.per_epoch,
                        "epoch": progress.epoch,
                        "loss": loss,
                        "learning_rate": self.optimiser.param_groups[0]["lr"],
                        "val_loss": held_out,
                    }
                )
                if held_out < progress.best_loss:
                    progress.best_loss, progress.best_epoch = held_out, progress.epoch
                    best = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}
                if self.plan.schedule == "plateau":
                    self.plateau.step(held_out)
                bar.set_postfix(loss=f"{loss:.4f}", val=f"{held_out:.4f}", best=progress.best_epoch, refresh=False)
                self._save(progress, best)
        return progress, best

    def _stopped(self, progress: Progress) -> bool:
        patience = self.plan.stop_after
        return patience is not None and progress.epoch - progress.best_epoch >= patience

    def _epoch(self, epoch: int, bar: Any) -> float:
        """One pass over the training spectra; the loss over all of them, as they were seen."""
        self.network.train()
        torch.manual_seed(int(np.random.SeedSequence([self.train.settings.seed, epoch]).generate_state(1)[0]))
        passed = Losses()
        for number, (features, code, target) in enumerate(self.train.epoch(epoch)):
            if self.plan.schedule == "cosine":
                self._set_rate(epoch * self.per_epoch + number)
            losses = Losses()
            code, target = code.to(self.device), target.to(self.device)
            logits, values = self.network(features.to(self.device))
            losses.add(logits, values, code, target)
            self.optimiser.zero_grad(set_to_none=True)
            losses.total(self.plan.regression_weight).backward()
            self.optimiser.step()
            passed.entropy, passed.squared = (
                passed.entropy + losses.entropy.detach(),
                passed.squared + losses.squared.detach(),
            )
            passed.classes, passed.values = passed.classes + losses.classes, passed.values + losses.values
            bar.update(len(features))
        return float(passed.total(self.plan.regression_weight))

    def _set_rate(self, step: int) -> None:
        """Linear rise, then a cosine to 0 at the end."""
        steps = self.plan.epochs * self.per_epoch
        rising = self.plan.warmup * steps
        share = (
            (step + 1) / rising
            if step < rising
            else 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
        )
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate * min(share, 1.0)

    def _validate(self) -> float:
        losses = Losses()
        for first in range(0, len(self.held_out), _BLOCK):
            chosen = np.arange(first, min(first + _BLOCK, len(self.held_out)))
            code, target = self.held_out.code[chosen], self.held_out.target[chosen]
            for logits, values in forward(self.network, self.held_out.features(chosen), self.device):
                n = len(logits)
                losses.add(logits, values, code[:n].to(self.device), target[:n].to(self.device))
                code, target = code[n:], target[n:]
        return float(losses.total(self.plan.regression_weight))

    def _save(self, progress: Progress, best: dict[str, Tensor]) -> None:
        """A sealed checkpoint of this epoch."""
        folder = self.folder / f"checkpoint-{progress.epoch}"
        folder.mkdir(parents=True, exist_ok=True)
        _save_tensors(self.network.state_dict(), folder / "network.safetensors")
        _save_tensors(best, folder / "best.safetensors")
        moments = self.optimiser.state_dict()["state"]
        _save_tensors(
            {f"{index}.{name}": value for index, parts in moments.items() for name, value in parts.items()},
            folder / "optimiser.safetensors",
        )
        progress.learning_rate = self.optimiser.param_groups[0]["lr"]
        progress.plateau = {
            name: value for name, value in self.plateau.state_dict().items() if isinstance(value, int | float)
        }
        write_json(asdict(progress), folder / "progress.json")
        seal(folder)
        prune(self.folder)

    def _resume(self) -> tuple[Progress, dict[str, Tensor]]:
        folder = newest_good(self.folder)
        if folder is None:
            return Progress(), {}
        log.info("continuing from %s", folder)
        progress = Progress(**read_json(folder / "progress.json"))
        self.network.load_state_dict(load_file(str(folder / "network.safetensors")))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in load_file(str(folder / "optimiser.safetensors")).items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        for group in self.optimiser.param_groups:
            group["lr"] = progress.learning_rate
        self.plateau.load_state_dict(progress.plateau)
        return progress, load_file(str(folder / "best.safetensors"))


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, str(path))


def _scales(work: Work, bins: Bins) -> Scales:
    """From the training spectra alone; of a large sample, an even part tells the inputs' scales."""
    settings: Network = work.settings
    few = np.unique(np.linspace(0, len(bins) - 1, min(len(bins), _ENOUGH)).astype(int))
    count = bins.count + coarse_values(settings)
    shift, scale = np.zeros(count), np.ones(count)
    if settings.inputs == "standard":
        total, square = np.zeros(count), np.zeros(count)
        for first in range(0, len(few), _BLOCK):
            features = prepared(bins[few[first : first + _BLOCK]], settings).astype(float)
            total, square = total + features.sum(axis=0), square + (features**2).sum(axis=0)
        shift = total / len(few)
        spread = np.sqrt(np.maximum(square / len(few) - shift**2, 0.0))
        scale = np.where(spread > 1e-6 * max(float(spread.max()), 1e-12), spread, 1.0)  # a constant value stays 0
    return Scales(shift, scale, *label_scales(settings.labels, work.train.truth))


def _read(
    network: nn.Module, spectra: Spectra, chosen: np.ndarray, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Values and codes of the class of the chosen spectra."""
    plain = Scales(np.zeros(1), np.ones(1), spectra.scales.label_shift, spectra.scales.label_scale)
    parts = [
        read_features(network, plain, spectra.features(chosen[first : first + _BLOCK]), device)
        for first in range(0, max(len(chosen), 1), _BLOCK)
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _write_curve(curve: list[dict[str, float]], path: Path) -> None:
    """The loss curve as CSV, an epoch a row."""
    lines = [",".join(f"{point[name]:.8g}" for name in _CURVE) for point in curve]
    write_text("\n".join([",".join(_CURVE), *lines]) + "\n", path)
