"""An encoder beside the patches of a language model: what embeds its spectra, and goes into its folder with it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import set_seed

from starglot.models.baselines.files import ENCODER
from starglot.models.encoders.embedders import put_embedder
from starglot.models.projector import Embedding, Projector
from starglot.spectra.sample_flux import Located, ShardPath
from starglot.store import await_whole, is_whole, making
from starglot.training.delivery import digests
from starglot.training.embeddings import map_embeddings

_FOLDER = "encoder"


@dataclass(frozen=True)
class Encoder:
    """A base that makes embeddings: its folder, and of an aligned pair the view whose side embeds."""

    folder: Path
    view: str | None = None

    @property
    def digests(self) -> dict[str, str]:
        """What it is known by."""
        return digests(sorted(self.folder.glob("*.safetensors"))) | ({"view": self.view} if self.view else {})


class Beside:
    """An encoder within the reach of one training."""

    def __init__(self, encoder: Encoder, place: Path, kept: Path, gpus: int, chief: bool):
        """place: of the training, in which the encoder's file is put; kept: folder of embeddings that trainings
        share; chief: whether this process writes; others wait."""
        self._own, self._kept, self._chief = place / _FOLDER, kept, chief
        self._device = torch.device("cuda" if gpus else "cpu")
        if not chief:
            await_whole(self._own)
        elif not is_whole(self._own):
            with making(self._own) as made:
                put_embedder(encoder.folder, encoder.view, made)

    def embeddings(self, spectra: Located, shard_path: ShardPath, inputs: Mapping[str, str]) -> np.ndarray:
        """float32 (n, numbers), mapped; as of :func:`starglot.training.embeddings.map_embeddings`."""
        return map_embeddings(spectra, shard_path, inputs, self._kept, self._own, self._device, self._chief)

    def copy_into(self, folder: Path) -> None:
        """Put the encoder's file where a model of ``folder`` finds it."""
        shutil.copyfile(self._own / ENCODER, folder / ENCODER)


def read_embeddings(projector: Projector, training: np.ndarray, seed: int) -> None:
    """Have the projector read embeddings, from these of training spectra (n, numbers) on, unless it has learnt to."""
    if projector.embedding is None:
        set_seed(seed)
        projector.embedding = Embedding(training.shape[1], projector.hidden)
        projector.embedding.standardise(training)
