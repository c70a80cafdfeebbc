"""Pre-training of encoders: from all cleaned spectra of a view but those of test stars, without a label."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from starglot.config.bases.encoders import EncoderBase
from starglot.config.recipes import Recipe
from starglot.config.root import Split
from starglot.errors import StarglotError
from starglot.models.baselines.files import ENCODER
from starglot.models.baselines.reading import use_device
from starglot.models.encoders.autoencoder import described
from starglot.models.encoders.files import ENCODERS, as_flux, load_encoder, save_encoder
from starglot.models.encoders.masked import draw_hidden, hidden_error, tokens_of
from starglot.registry import Registry
from starglot.samples.split import split_of
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.store import CHECKPOINTS, new_folder
from starglot.surveys.index import require_shards, shard_digests, spectra_digest
from starglot.tables import write_json, write_parquet
from starglot.training.delivery import MANIFEST, deliver, digests, restore_or_begin, versions, write_run
from starglot.training.epochs import train, write_curve
from starglot.training.full_disk import full_disk_explained
from starglot.training.processes import Batch, Sums, join_processes
from starglot.training.transfer import Updated, learner_of

log = logging.getLogger(__name__)

#: Which spectra a base has seen: obsid, star_id, split.
SPECTRA = "spectra.parquet"
#: Spectra that are held out together, at most.
_HELD_OUT = 256


class Spectra:
    """An objective's spectra: mapped flux (n, pixels), int16, and which of them train and are held out."""

    def __init__(self, flux: np.ndarray, training: np.ndarray, held_out: np.ndarray):
        self.flux, self.training, self._held_out = flux, training, held_out

    def __len__(self) -> int:
        return len(self.training)

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        """A step's spectra, as :meth:`prepared`."""
        return self.prepared(as_flux(self.flux[self.training[chosen]]), rng)

    def held_out(self) -> Iterator[Batch]:
        """The others, each time with the same draws."""
        for first in range(0, len(self._held_out), _HELD_OUT):
            block = self._held_out[first : first + _HELD_OUT]
            yield self.prepared(as_flux(self.flux[block]), np.random.default_rng(first))

    def prepared(self, flux: Tensor, rng: np.random.Generator) -> Batch:
        """What the network is shown of flux (n, pixels), and what it is to say."""
        raise NotImplementedError

    def loss(self, sums: Sums) -> Tensor:
        """Mean squared error."""
        return sums[0] / sums[1]


class FillingIn(Spectra):
    """The objective of a masked encoder: tokens that are hidden, from the others."""

    def prepared(self, flux: Tensor, rng: np.random.Generator) -> Batch:
        """Tokens, and which of them are hidden."""
        tokens = tokens_of(flux)
        return tokens, torch.from_numpy(draw_hidden(len(tokens), tokens.shape[1], rng))

    def sums(self, network: nn.Module, batch: Batch) -> Sums:
        """Squared errors of what was hidden, and how many numbers that is."""
        tokens, hidden = batch
        return hidden_error(network(tokens.masked_fill(hidden[..., None], 0.0)), tokens, hidden)


class PassingThrough(Spectra):
    """The objective of an autoencoder: a spectrum from its latent vector."""

    def prepared(self, flux: Tensor, rng: np.random.Generator) -> Batch:
        """Mean, scatter and scaled flux, which go in and are to come out."""
        return (described(flux),)

    def sums(self, network: nn.Module, batch: Batch) -> Sums:
        """Squared errors, and how many numbers there are."""
        (whole,) = batch
        return (network(whole) - whole).square().sum(), torch.tensor(whole.numel(), device=whole.device)


#: Kind of base -> what it learns.
OBJECTIVES: Registry[Callable[[np.ndarray, np.ndarray, np.ndarray], Any]] = Registry(
    {"masked_encoder": FillingIn, "autoencoder": PassingThrough}
)


def train_encoder(
    settings: EncoderBase,
    recipe: Recipe,
    index: Path,
    split: Split,
    split_seed: int,
    out: Path,
    state: Path,
    code_hash: str,
    script: Path | None = None,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train an encoder on a view's spectra; returns the manifest that it writes last into ``out``.

    recipe: of the view; index: of its cleaned spectra, in their folder; split, split_seed: how stars are shared out:
    training stars are learnt from, validation stars choose the epoch, test stars are not read; out: gets
    ``encoder.safetensors``, ``spectra.parquet`` (what it has seen), loss.csv, run.json, manifest.json; state,
    code_hash, script: as in :func:`starglot.training.baselines.train_files`; start: folder of the encoder to go on
    from.
    Under torchrun every process calls it with the same arguments.  Raises StarglotError when there are no training or
    no validation spectra, when the processes are not as many as the GPUs, and when the loss is not finite.
    """
    # ---- set up
    started = time.time()
    processes = join_processes(settings.gpus, "bases: gpus")
    rows = seen_spectra(index, split, split_seed)
    inputs = {"spectra": spectra_digest(rows, index.parent)}
    shares = split.model_dump(exclude={"folds"})
    about = {"base": settings.model_dump(), "recipe": recipe.model_dump(), "split": shares}
    if start is not None:
        about["continues"] = digests([start / ENCODER])
    ingredients = {**about, "seed": split_seed, "inputs": inputs, "code": code_hash}
    place, finished = restore_or_begin(Path(state), ingredients, Path(out), script, processes.chief)
    if finished is not None:
        return finished
    device = use_device(settings.gpus)

    # ---- load
    with full_disk_explained(place):
        flux, training, held_out = read_seen(rows, index, Path(state) / "flux", processes.chief)

        # ---- train
        torch.manual_seed(settings.seed)
        network = ENCODERS[settings.kind](settings.model_dump(), flux.shape[1])
        learner: nn.Module = network
        if start is not None:
            network.load_state_dict(load_encoder(start).state_dict())
            learner = learner_of(network, settings.transfer)
        objective = OBJECTIVES[settings.kind](flux, training, held_out)
        plan = settings.training
        checkpoints = place / CHECKPOINTS
        trained = train(
            learner, objective, plan, settings.seed, device, checkpoints, settings.kind, plan.clip, processes
        )
        network = learner.merged() if isinstance(learner, Updated) else network

        # ---- save
        manifest = {
            "kind": settings.kind,
            "note": f"pre-trained without labels on spectra of {settings.view}; test stars were not read",
            **about,
            "inputs": inputs,
            "work": place.name,
            "counts": {
                "train": len(training),
                "val": len(held_out),
                "pixels": int(flux.shape[1]),
                **trained.counts,
                "parameters": sum(weight.numel() for weight in network.parameters()),
            },
            "seed": settings.seed,
            "metrics": {"train_loss": trained.at_best["loss"], "val_loss": trained.at_best["val_loss"]},
            "versions": versions(),
        }
        if not processes.chief:
            return manifest
        made = new_folder(place)
        save_encoder(network, settings.model_dump(), made)
        write_parquet(rows.drop_columns(["shard"]), made / SPECTRA)
        write_curve(trained.curve, made / "loss.csv")
        write_run(made, started, examples_per_second=trained.counts["examples"] / (time.time() - started))
        write_json(manifest, made / MANIFEST)
        return deliver(made, place, Path(out))


def read_seen(rows: pa.Table, index: Path, folder: Path, chief: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mapped flux (rows, pixels), int16, of :func:`seen_spectra`; which rows are of training and validation stars.

    folder: where flux is mapped from; chief: whether this process writes it there.
    Raises StarglotError when there is no spectrum of either.
    """
    shards = rows["shard"].to_numpy(zero_copy_only=False)
    spectra = CleanedSpectra(
        rows["obsid"].to_numpy(),
        shards,
        lambda shard: index.parent / f"{shard}.parquet",
        shard_digests(index, set(shards)),
    )
    flux = spectra.mapped(rows["obsid"].to_numpy(), folder, chief).flux
    of = rows["split"].to_numpy(zero_copy_only=False)
    training, held_out = (np.flatnonzero(of == name) for name in ("train", "val"))
    for name, mine in (("training", training), ("validation", held_out)):
        if not len(mine):
            raise StarglotError(
                f"there is no spectrum of {name} stars to pre-train the base with",
                where=index,
                todo="take a larger sample of this view, or another `split`",
            )
    return flux, training, held_out


def seen_spectra(index: Path, split: Split, seed: int) -> pa.Table:
    """obsid, star_id, split and shard of the cleaned spectra of a view, those of test stars left out, by obsid."""
    parts = []
    for shard in require_shards(index, index.parent):
        part = pq.read_table(index.parent / f"{shard}.parquet", columns=["obsid", "star_id"])
        part = part.replace_schema_metadata(None)
        parts.append(part.append_column("shard", pa.array([shard] * len(part), pa.string())))
    rows = pa.concat_tables(parts)
    of, _ = split_of(rows["star_id"].to_pylist(), split, seed)
    rows = rows.append_column("split", pa.array(of, pa.string()))
    return rows.filter(pa.array(of != "test")).sort_by("obsid").combine_chunks()
