"""The loop that trains networks of torch: epochs over a mapped sample, resumed from its last checkpoint, bit for bit.

What is learnt is an objective's: it makes the batches and says their loss.  Order, rates, checkpoints, the loss
curve, when to stop and which weights are kept are the loop's, whatever the objective.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm import tqdm

from starglot.config.kinds.baselines import Epochs
from starglot.errors import StarglotError
from starglot.store import newest_good, prune, seal
from starglot.tables import read_json, write_json, write_text
from starglot.training.begun import note_length
from starglot.training.processes import ALONE, Batch, Processes, Sums

log = logging.getLogger(__name__)

#: Columns of the loss curve.
_CURVE = ("step", "epoch", "loss", "learning_rate", "val_loss")
#: Spectra between checkpoints within an epoch: of a million spectra before eight billion weights, an hour's.
_STRETCH = 2**17


class Objective(Protocol):
    """What a network learns of its spectra."""

    def __len__(self) -> int:
        """Spectra to train on."""

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        """The training spectra numbered ``chosen``, on the CPU; what is drawn anew at each pass is drawn by ``rng``.

        Called from a thread of its own, while the step before is at work.
        """

    def held_out(self) -> Iterator[Batch]:
        """Batches of what training is judged by, at the end of each epoch: the best epoch has the lowest loss."""

    def sums(self, network: nn.Module, batch: Batch) -> Sums:
        """What the network makes of a batch, which is on its device."""

    def loss(self, sums: Sums) -> Tensor:
        """The loss of one batch, or of all batches together: a number, with the gradients of ``sums``."""


@dataclass
class Progress:
    """Where a training stands: all that its continuation needs besides tensors.

    epoch: epochs that are whole; step: steps of the next one that are done as well.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    learning_rate: float = 0.0
    plateau: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    weights: of the best epoch, on the CPU; at_best: that epoch's point of the curve; curve: a point an epoch, of
    step, epoch, loss, learning_rate and val_loss; counts: for a manifest.
    """

    weights: dict[str, Tensor]
    at_best: dict[str, float]
    curve: list[dict[str, float]]
    counts: dict[str, int]


def train(
    network: nn.Module,
    objective: Objective,
    plan: Epochs,
    seed: int,
    device: torch.device,
    checkpoints: Path,
    title: str,
    clip: float | None = None,
    processes: Processes = ALONE,
) -> Trained:
    """Train ``network`` on ``device``, which it is moved to; it is left with the weights of the best epoch.

    seed: decides order and all that is drawn; the first weights are the caller's.  checkpoints: folder of this
    training alone; from the newest good one in it, a killed training goes on as if it had not been killed.
    clip: the longest gradient of a step, where steps are bounded.  processes: that train it together, each of which
    calls this with the same arguments.
    Raises StarglotError when the loss is not a finite number.
    """
    network.to(device)
    if processes.chief:
        note_length(checkpoints.parent, plan.epochs * len(_starts(len(objective), plan.batch)), "steps")
    progress, best = _Trainer(network, objective, plan, seed, device, checkpoints, clip, processes).run(title)
    network.load_state_dict(best)
    return Trained(
        weights=best,
        at_best=progress.curve[progress.best_epoch - 1],
        curve=progress.curve,
        counts={
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch,
            "steps": int(progress.curve[-1]["step"]),
            "examples": progress.epoch * len(objective),
            "trainable_parameters": sum(p.numel() for p in _learning(network)),
        },
    )


def left_as_it_is(network: nn.Module, objective: Objective, plan: Epochs, device: torch.device) -> Trained:
    """What comes of no step at all: ``network`` on ``device``, and its losses as the one point of the curve.

    Raises StarglotError when the loss is not a finite number.
    """
    network.to(device)
    numbers = np.arange(len(objective))
    in_order = (numbers[first : first + plan.batch] for first in _starts(len(objective), plan.batch))
    seen = (objective.batch(chosen, np.random.default_rng(0)) for chosen in in_order)
    loss, held_out = (
        _loss(network, objective, batches, device, Processes()) for batches in (seen, objective.held_out())
    )
    if not math.isfinite(loss + held_out):
        raise _not_finite(0)
    point = {"step": 0.0, "epoch": 0.0, "loss": loss, "learning_rate": 0.0, "val_loss": held_out}
    counts = dict.fromkeys(("epochs", "best_epoch", "steps", "examples", "trainable_parameters"), 0)
    return Trained({name: tensor.cpu() for name, tensor in network.state_dict().items()}, point, [point], counts)


def _learning(network: nn.Module) -> list[nn.Parameter]:
    """The weights that training moves."""
    return [each for each in network.parameters() if each.requires_grad]


def _not_finite(epoch: int) -> StarglotError:
    return StarglotError(
        f"the loss is not a finite number in epoch {epoch}",
        where="models: training",
        todo="lower learning_rate, or the weight of the part of the loss that grows",
    )


def write_curve(curve: list[dict[str, float]], path: Path) -> None:
    """The loss curve as CSV, an epoch a row."""
    lines = [",".join(f"{point[name]:.8g}" for name in _CURVE) for point in curve]
    write_text("\n".join([",".join(_CURVE), *lines]) + "\n", path)


class _Trainer:
    """The epochs of one training, and its checkpoints."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        plan: Epochs,
        seed: int,
        device: torch.device,
        folder: Path,
        clip: float | None,
        processes: Processes,
    ):
        self.network, self.objective, self.plan, self.seed = network, objective, plan, seed
        self.device, self.folder, self.clip, self.processes = device, folder, clip, processes
        self.sharing = processes.sharing(network)
        self.starts = _starts(len(objective), plan.batch)
        self.stretch = max(1, _STRETCH // plan.batch)  # in steps
        self.optimiser = torch.optim.AdamW(_learning(network), lr=plan.learning_rate, weight_decay=plan.weight_decay)
        self.plateau = ReduceLROnPlateau(
            self.optimiser, factor=plan.factor, patience=plan.patience - 1, threshold=0.0
        )

    def run(self, title: str) -> tuple[Progress, dict[str, Tensor]]:
        """All epochs, from the newest good checkpoint if there is one: (progress, weights of the best epoch)."""
        progress, best, passed = self._resume()
        n = len(self.objective)
        with tqdm(
            total=self.plan.epochs * n,
            initial=progress.epoch * n + progress.step * self.plan.batch,
            desc=title,
            unit=" spectra",
            mininterval=2,
            disable=not self.processes.chief,
        ) as bar:
            while progress.epoch < self.plan.epochs and not self._stopped(progress):
                loss = self._epoch(progress, best, passed, bar)
                held_out = self._validate()
                if not math.isfinite(held_out):
                    raise _not_finite(progress.epoch + 1)
                progress.epoch, progress.step, passed = progress.epoch + 1, 0, None
                progress.curve.append(
                    {
                        "step": progress.epoch * len(self.starts),
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
                self._save(progress, best, passed)
        return progress, best

    def _stopped(self, progress: Progress) -> bool:
        patience = self.plan.stop_after
        return patience is not None and progress.epoch - progress.best_epoch >= patience

    def _epoch(self, progress: Progress, best: dict[str, Tensor], passed: Sums | None, bar: Any) -> float:
        """One pass over the training spectra, or what is left of it; the loss over all of them, as they were seen.

        passed: sums over the steps that are done.  After each stretch there is a checkpoint, and what is drawn next
        depends on the stretch, so that it is the same for a training that goes on from there.
        """
        self.network.train()
        epoch, begun = progress.epoch, progress.step
        for step, batch in enumerate(self._batches(epoch, begun), begun):
            if step % self.stretch == 0:
                if step > begun:
                    progress.step = step
                    self._loss_of(passed, epoch)
                    self._save(progress, best, passed)
                entropy = np.random.SeedSequence([self.seed, epoch, step // self.stretch])
                torch.manual_seed(int(entropy.generate_state(1)[0]))
            if self.plan.schedule == "cosine":
                self._set_rate(epoch * len(self.starts) + step)
            mine = _on(self.device, self.processes.part(batch))
            sums = self.objective.sums(self.sharing, mine)
            self.optimiser.zero_grad(set_to_none=True)
            sums = self.processes.backward(sums, self.objective.loss)
            if self.clip is not None:
                nn.utils.clip_grad_norm_(_learning(self.network), self.clip)
            self.optimiser.step()
            passed = _added(passed, sums)
            bar.update(len(batch[0]))
        return self._loss_of(passed, epoch)

    def _loss_of(self, passed: Sums | None, epoch: int) -> float:
        """The loss of the sums over a pass, or over a part of it."""
        assert passed is not None
        loss = float(self.objective.loss(passed))
        if not math.isfinite(loss):
            raise _not_finite(epoch + 1)
        return loss

    def _batches(self, epoch: int, begun: int) -> Iterator[Batch]:
        """Batches of one pass from step ``begun`` on, in an order of its own; the next is made ready while one is in
        use.

        Each process makes all of a batch ready, so that what is drawn does not depend on how many there are.
        """
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.objective))

        def batch(first: int) -> Batch:
            chosen = order[first : first + self.plan.batch]
            return self.objective.batch(chosen, np.random.default_rng([self.seed, epoch, first]))

        left = self.starts[begun:]
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(batch, left[0])
            for first in [*left[1:], None]:
                ready = waiting.result()
                if first is not None:
                    waiting = ahead.submit(batch, first)
                yield ready

    def _set_rate(self, step: int) -> None:
        """Linear rise, then a cosine to 0 at the end."""
        steps = self.plan.epochs * len(self.starts)
        rising = self.plan.warmup * steps
        share = (
            (step + 1) / rising
            if step < rising
            else 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
        )
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate * min(share, 1.0)

    def _validate(self) -> float:
        return _loss(self.network, self.objective, self.objective.held_out(), self.device, self.processes)

    def _save(self, progress: Progress, best: dict[str, Tensor], passed: Sums | None) -> None:
        """A sealed checkpoint, by the process that writes; passed: sums over the done steps of the epoch at hand."""
        if not self.processes.chief:
            return
        folder = self.folder / f"checkpoint-{progress.epoch * len(self.starts) + progress.step}"
        folder.mkdir(parents=True, exist_ok=True)
        _save_tensors(self.network.state_dict(), folder / "network.safetensors")
        _save_tensors(best, folder / "best.safetensors")
        _save_tensors({str(place): each for place, each in enumerate(passed or ())}, folder / "passed.safetensors")
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

    def _resume(self) -> tuple[Progress, dict[str, Tensor], Sums | None]:
        folder = newest_good(self.folder)
        if folder is None:
            return Progress(), {}, None
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
        passed = load_file(str(folder / "passed.safetensors"), device=str(self.device))
        sums = tuple(passed[str(place)] for place in range(len(passed)))
        return progress, load_file(str(folder / "best.safetensors")), sums or None


def _loss(
    network: nn.Module, objective: Objective, batches: Iterable[Batch], device: torch.device, processes: Processes
) -> float:
    """The loss over all batches together; the network is left in its evaluation mode."""
    network.eval()
    passed: Sums | None = None
    with torch.no_grad():
        for batch in batches:
            passed = _added(passed, objective.sums(network, _on(device, processes.part(batch))))
    assert passed is not None
    return float(objective.loss(processes.added(passed)))


def _on(device: torch.device, batch: Batch) -> Batch:
    return tuple(tensor.to(device) for tensor in batch)


def _starts(n: int, size: int) -> list[int]:
    """Where the batches of a pass begin; a last one of one spectrum, which cannot be normalised, is left out."""
    return [first for first in range(0, n, size) if n - first > 1 or not first]


def _added(passed: Sums | None, sums: Sums) -> Sums:
    """Sums over one batch more, without their gradients."""
    own = tuple(each.detach() for each in sums)
    return own if passed is None else tuple(a + b for a, b in zip(passed, own, strict=True))


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, str(path))
