"""A network with what belongs to it: the scales of its inputs and labels, and the scatter of its residuals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from starglot.config.kinds.baselines import Network
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.models.baselines.features import coarse_values, prepared
from starglot.models.baselines.files import load, save
from starglot.models.baselines.networks import build_network
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.residual import Corrected
from starglot.models.baselines.rows import Rows
from starglot.models.class_probability import likeliest
from starglot.models.encoders.files import Embedder
from starglot.spectra.rebin import binned
from starglot.spectra.sample_flux import ShardPath, blocks

#: Spectra that pass through a network together when it only predicts.
BATCH = 256
#: How the names of the network's own tensors begin in its file.
NETWORK = "network."
#: What the file of a corrected network says of the correction: the widths of its hidden layers.
RESIDUAL = "residual"


@dataclass(frozen=True)
class Scales:
    """inputs: shift and scale (features,); labels: shift and scale (labels,), NaN for a label that nobody has."""

    input_shift: np.ndarray
    input_scale: np.ndarray
    label_shift: np.ndarray
    label_scale: np.ndarray

    def inputs(self, features: np.ndarray) -> np.ndarray:
        """float32 features in the network's units."""
        scaled: np.ndarray = (features - self.input_shift) / self.input_scale
        return scaled.astype(np.float32)

    def labels(self, truth: np.ndarray) -> np.ndarray:
        """float32 labels in the network's units, NaN where missing."""
        scaled: np.ndarray = (truth - self.label_shift) / self.label_scale
        return scaled.astype(np.float32)

    def undone(self, labels: np.ndarray) -> np.ndarray:
        """Labels in their own units, from the network's."""
        values: np.ndarray = np.asarray(labels, dtype=np.float64) * self.label_scale + self.label_shift
        return values


def label_scales(how: str, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale of each label, from training truth (n, labels; NaN where missing); NaN where nobody has it.

    how: 'standard' (mean and standard deviation) or 'minmax' (least value and range).
    """
    shift, scale = np.full(truth.shape[1], np.nan), np.full(truth.shape[1], np.nan)
    for j in range(truth.shape[1]):
        known = truth[np.isfinite(truth[:, j]), j]
        if len(known):
            shift[j], scale[j] = (
                (known.mean(), known.std()) if how == "standard" else (known.min(), known.max() - known.min())
            )
            scale[j] = scale[j] or 1.0  # one value only
    return shift, scale


def use_device(gpus: int) -> torch.device:
    """The device that ``gpus`` asks for, with results that repeat; raises StarglotError when it is not there.

    On a GPU, torch warns of a step that it cannot repeat bit for bit, and goes on; on the CPU all steps repeat.
    """
    if gpus and not torch.cuda.is_available():
        raise StarglotError(
            "this model asks for a GPU, and torch sees none",
            where="models: gpus",
            todo="run on a GPU node with `make setup ACCEL=cuda`, or set gpus: 0 to work on the CPU",
        )
    if not gpus:
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda")


def forward(network: nn.Module, features: np.ndarray, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and scaled labels, batch by batch, without gradients; the network is left in its evaluation mode."""
    network.eval()
    with torch.no_grad():
        for first in range(0, len(features), BATCH):
            yield network(torch.from_numpy(features[first : first + BATCH]).to(device))


def read_features(
    network: nn.Module, scales: Scales, features: np.ndarray, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, labels) in their own units, and the logits (n, groups), from features as they come."""
    parts = [
        (values.cpu().numpy(), logits.cpu().numpy())
        for logits, values in forward(network, scales.inputs(features), device)
    ]
    if not parts:
        return np.empty((0, len(scales.label_shift))), np.empty((0, 1))
    return scales.undone(np.concatenate([p[0] for p in parts])), np.concatenate([p[1] for p in parts])


def save_network(
    network: nn.Module, scales: Scales, sigma: np.ndarray, settings: Network, task: Task, folder: Path
) -> None:
    """Weights, scales and scatter (labels, groups + 1) in one file of safetensors."""
    kind: str = settings.kind
    tensors = {f"{NETWORK}{name}": tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    correction = {RESIDUAL: network.hidden} if isinstance(network, Corrected) else {}
    save({**tensors, **vars(scales), "sigma": sigma}, kind, task, folder, bin=settings.bin, **correction)


def open_network(settings: Network, task: Task, folder: Path, outputs: int) -> tuple[nn.Module, Scales, np.ndarray]:
    """A trained network of :func:`save_network` on the CPU, its scales, and its scatter (labels, groups + 1).

    outputs: of the head that tells the group.
    """
    tensors, about = load(folder, settings.kind, task)
    scales = Scales(**{name: tensors[name] for name in Scales.__dataclass_fields__})
    network = build_network(settings, len(scales.input_shift), coarse_values(settings), len(task.labels), outputs)
    if RESIDUAL in about:
        network = Corrected(network, len(scales.input_shift), about[RESIDUAL], len(task.labels))
    state = {
        name.removeprefix(NETWORK): torch.from_numpy(value)
        for name, value in tensors.items()
        if name.startswith(NETWORK)
    }
    network.load_state_dict(state)
    return network, scales, tensors["sigma"]


def read_network(settings: Network, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """Values, scatter of the predicted class, and the class, shard by shard."""
    device = use_device(settings.gpus)
    network, scales, sigma = open_network(settings, task, folder, rows.outputs)
    network.to(device)
    features_of = _feature_reader(settings, folder, device)
    value = np.full((len(rows), len(task.labels)), np.nan)
    predicted, odds = np.full(len(rows), len(rows.groups)), np.full(len(rows), np.nan)
    for at, flux in blocks(rows, shard_path, "predict"):
        value[at], logits = read_features(network, scales, features_of(flux), device)
        predicted[at], odds[at] = likeliest(logits)
    return Answer(value, sigma.T[predicted], predicted, odds)


def _feature_reader(settings: Network, folder: Path, device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """Stored flux (n, grid) -> what the network reads: bins of it, or its embedding by the encoder in the folder."""
    if getattr(settings, "base", None) is None:
        return lambda flux: prepared(binned(flux, settings.bin), settings)
    return Embedder(folder, device)
