"""An encoder in its file, weights, kind and sizes; and its embeddings of spectra, for models that read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from starglot.config.bases.aligned import AlignedBase
from starglot.errors import StarglotError
from starglot.models.baselines.files import ENCODER
from starglot.models.encoders.autoencoder import Autoencoder
from starglot.models.encoders.masked import MaskedEncoder
from starglot.models.encoders.sides import Side
from starglot.registry import Registry
from starglot.tables import FLUX_SCALE, atomic_path

#: Spectra that pass through an encoder together when it only reads.
_BATCH = 256
#: Settings of a base that say which network it is, and what it has learnt from.
_ABOUT = ("kind", "view", "width", "blocks", "heads", "hidden")


def _masked(settings: Mapping[str, Any], pixels: int) -> MaskedEncoder:
    return MaskedEncoder(pixels, settings["width"], settings["blocks"], settings["heads"])


def _autoencoder(settings: Mapping[str, Any], pixels: int) -> Autoencoder:
    return Autoencoder(pixels, settings["width"], settings["hidden"])


def _side(settings: Mapping[str, Any], pixels: int) -> Side:
    encoder = settings["encoder"]
    network = ENCODERS[encoder["kind"]](encoder, pixels)
    return Side(AlignedBase.model_validate(settings["pair"]), encoder["kind"], network)


#: Kind of base -> its network, from its settings and the values of a spectrum; of an aligned pair, that of one view.
#: A network has ``pixels``, ``width`` (numbers of an embedding), and ``embed``: flux (n, pixels) -> (n, width).
ENCODERS: Registry[Callable[[Mapping[str, Any], int], nn.Module]] = Registry(
    {"masked_encoder": _masked, "autoencoder": _autoencoder, "aligned": _side}
)


def save_weights(network: nn.Module, about: Mapping[str, Any], path: Path) -> None:
    """Write all weights of a network, with what says which network they are of."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as partial:
        save_file(tensors, str(partial), metadata={"starglot": json.dumps(about, sort_keys=True)})


def load_weights(path: Path, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What :func:`save_weights` wrote; raises StarglotError when the file of ``what`` cannot be read."""
    try:
        with safe_open(str(path), framework="pt") as handle:
            about: dict[str, Any] = json.loads(handle.metadata()["starglot"])
        return about, load_file(str(path))
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise StarglotError(
            f"{what} cannot be read: {error}",
            where=path,
            todo="copy the folder again, whole; where it was made, run the workflow again",
        ) from error


def save_encoder(network: nn.Module, settings: Mapping[str, Any], folder: Path) -> None:
    """Write the weights, with what says which network they are of: kind, view and sizes among the base's settings."""
    about = {"base": {key: settings[key] for key in _ABOUT if key in settings}, "pixels": network.pixels}
    save_weights(network, about, Path(folder) / ENCODER)


def save_side(side: Side, pair: Mapping[str, Any], encoder: Mapping[str, Any], folder: Path) -> None:
    """Write one view of an aligned pair as an encoder is; pair, encoder: settings of the pair and of its encoder."""
    about = {"base": {"kind": "aligned", "pair": dict(pair), "encoder": dict(encoder)}, "pixels": side.pixels}
    save_weights(side, about, Path(folder) / ENCODER)


def load_encoder(folder: Path) -> Any:
    """The network of :func:`save_encoder` or :func:`save_side`, ready to read.

    Raises StarglotError when its file cannot be read.
    """
    about, tensors = load_weights(Path(folder) / ENCODER, "the encoder's weights")
    network = ENCODERS[about["base"]["kind"]](about["base"], about["pixels"])
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


class Embedder:
    """Embeddings of spectra as they are stored."""

    def __init__(self, folder: Path, device: torch.device):
        """folder: that holds the encoder's file."""
        self.network, self.device = load_encoder(folder).to(device), device
        self.width: int = self.network.width

    def __call__(self, flux: np.ndarray) -> np.ndarray:
        """int16 flux (n, pixels) -> float32 (n, width); raises StarglotError for spectra on another grid."""
        if flux.shape[1] != self.network.pixels:
            raise StarglotError(
                f"spectra of {flux.shape[1]} values, for an encoder of {self.network.pixels}",
                where="models: base",
                todo="give the model a task on the grid of its base's view",
            )
        out = np.empty((len(flux), self.width), np.float32)
        with torch.no_grad():
            for first in range(0, len(flux), _BATCH):
                part = as_flux(flux[first : first + _BATCH]).to(self.device)
                out[first : first + _BATCH] = self.network.embed(part).cpu().numpy()
        return out


def as_flux(stored: np.ndarray) -> Tensor:
    """Normalised flux, float32, from the int16 that it is stored as."""
    return torch.from_numpy(stored.astype(np.float32) / np.float32(FLUX_SCALE))
