"""Training of heads that bring two frozen encoders together, on pairs of spectra of the same stars."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from starglot.config.bases.aligned import AlignedBase
from starglot.config.recipes import Recipe
from starglot.errors import StarglotError
from starglot.hashing import manifest_digest
from starglot.models.baselines.reading import use_device
from starglot.models.bases import read_manifest
from starglot.models.encoders.aligned import ALIGNED, Aligned, contrast, load_aligned, save_aligned
from starglot.models.encoders.files import as_flux, load_encoder
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.store import CHECKPOINTS, new_folder
from starglot.surveys.index import cleaned_spectra, spectra_digest
from starglot.tables import table_digest, write_json
from starglot.training.delivery import MANIFEST, deliver, digests, restore_or_begin, versions, write_run
from starglot.training.epochs import train, write_curve
from starglot.training.full_disk import full_disk_explained
from starglot.training.processes import ALONE, Batch, Processes, Sums, join_processes
from starglot.training.transfer import Updated, learner_of

log = logging.getLogger(__name__)

#: Bytes of what frozen encoders give that are held in memory; what is more is made anew for each step.
_HELD = 1 << 30
#: Spectra that pass through an encoder together.
_BLOCK = 256
#: Parts of the loss.
PARTS = ("contrast", "own", "cross")


class Alignment:
    """The objective: which spectra belong together; with an own part, also the spectra themselves, by mean |error|.

    Total = contrast + own reconstruction of both views + prediction of each from the other's shared part, all with
    weight 1 (SpecCLIP).  Encoders read and do not learn.
    """

    def __init__(
        self,
        network: Aligned,
        flux: Sequence[np.ndarray],
        split: np.ndarray,
        batch: int,
        device: torch.device,
        processes: Processes = ALONE,
    ):
        """flux: int16 (n, pixels) of both views, row by row of the same stars; split: (n,) 'train' or 'val';
        processes: each of which has a part of a batch, to be told apart from the pairs of all."""
        self.network, self.flux, self.size, self.device = network.to(device), flux, batch, device
        self.processes = processes
        self.training, self.judged = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")
        self._held = self._features_of_all()

    def __len__(self) -> int:
        return len(self.training)

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        """Flux of the pairs in both views, then what the encoders make of it, where that is held."""
        return self._pairs(self.training[chosen])

    def held_out(self) -> Iterator[Batch]:
        """Validation pairs in batches of the same size as in training: the more pairs, the harder the choice."""
        for first in range(0, len(self.judged), self.size):
            yield self._pairs(self.judged[first : first + self.size])

    def sums(self, network: nn.Module, batch: Batch) -> Sums:
        """Sums over the pairs of each of :data:`PARTS`, and the number of pairs; ``network``: the heads."""
        flux = batch[:2]
        features = batch[2:] or tuple(self.network.features(place, each) for place, each in enumerate(flux))
        return self._sums(network, flux, features)

    def loss(self, sums: Sums) -> Tensor:
        """All parts, a pair."""
        return sum(sums[: len(PARTS)], torch.zeros_like(sums[0])) / sums[-1]

    def _sums(self, heads: nn.Module, flux: Sequence[Tensor], features: Sequence[Tensor]) -> Sums:
        shared, again, crossed = heads(features)
        n = torch.tensor(len(flux[0]), device=flux[0].device)
        own = cross = torch.zeros((), device=flux[0].device)
        for place, mine in enumerate(again):
            own = own + n * l1_loss(mine, flux[place])
            cross = cross + n * l1_loss(crossed[place], flux[place])
        return self._contrast(shared[0], shared[1]), own, cross, n

    def _contrast(self, one: Tensor, other: Tensor) -> Tensor:
        scale = self.network.settings.scale
        if self.processes.count == 1:
            return contrast(one, other, scale)
        rows, first = self.processes.gathered(torch.stack([one, other], 1))
        return contrast(one, other, scale, (rows[:, 0], rows[:, 1]), first)

    def _pairs(self, at: np.ndarray) -> Batch:
        flux = tuple(as_flux(np.asarray(each[at])) for each in self.flux)
        return flux + tuple(each[torch.from_numpy(at)] for each in self._held)

    def _features_of_all(self) -> tuple[Tensor, ...]:
        """What both encoders make of all spectra, on the CPU; nothing where that is too much to hold."""
        one = [self.network.features(place, self._block(place, 0, 1)) for place in (0, 1)]
        if sum(each.numel() * each.element_size() for each in one) * len(self.flux[0]) > _HELD:
            return ()
        firsts = range(0, len(self.flux[0]), _BLOCK)
        return tuple(
            torch.cat([self.network.features(place, self._block(place, first, _BLOCK)).cpu() for first in firsts])
            for place in (0, 1)
        )

    def _block(self, place: int, first: int, n: int) -> Tensor:
        return as_flux(np.asarray(self.flux[place][first : first + n])).to(self.device)


def pair_spectra(pairs: pa.Table, indexes: Sequence[Path]) -> tuple[CleanedSpectra, CleanedSpectra]:
    """The cleaned spectra of both views, by obsid, of at least these pairs; indexes: of them, in their folders."""
    first, second = map(cleaned_spectra, _sides(pairs), indexes)
    return first, second


def _sides(pairs: pa.Table) -> list[pa.Table]:
    """obsid and shard of both sides of pairs."""
    return [
        pa.table({"obsid": pairs[f"{prefix}obsid"], "shard": pairs[f"{prefix}shard"]}).combine_chunks()
        for prefix in ("", "other_")
    ]


def train_aligned(
    settings: AlignedBase,
    views: Sequence[str],
    recipes: Sequence[Recipe],
    pairs_file: Path,
    indexes: Sequence[Path],
    encoders: Sequence[Path],
    out: Path,
    state: Path,
    code_hash: str,
    script: Path | None = None,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train heads on the training pairs; returns the manifest that it writes last into ``out``.

    views, recipes, indexes: of both sides; pairs_file: Parquet (``tables.PAIR``); encoders: folders of the two bases;
    out: gets ``aligned.safetensors``, loss.csv, run.json and manifest.json; state, code_hash, script: as in
    :func:`starglot.training.baselines.train_files`; start: folder of the aligned base to go on from.
    Validation pairs choose the epoch; test pairs are not read.  Under torchrun every process calls it with the same
    arguments.
    Raises StarglotError when a split is too small to be told apart, an encoder is for another grid, or the processes
    are not as many as the GPUs.
    """
    # ---- set up
    started = time.time()
    processes = join_processes(settings.gpus, "bases: gpus")
    every = pq.read_table(pairs_file)
    pairs = every.filter(pc.not_equal(every["split"], "test")).combine_chunks()
    split = pairs["split"].to_numpy(zero_copy_only=False)
    counts = {name: int((split == name).sum()) for name in ("train", "val")}
    for name, n in counts.items():
        if n < 2:
            raise StarglotError(
                f"{n} {name} pairs are too few: of one there is no choice",
                where=pairs_file,
                allowed="two or more in each of train and val",
                todo="take more stars, or another `split`",
            )
    spectra = pair_spectra(pairs, indexes)
    digested = [spectra_digest(rows, index.parent) for rows, index in zip(_sides(pairs), indexes, strict=True)]
    inputs = {"pairs": table_digest(pairs), "spectra": digested}
    standing = [manifest_digest(folder / MANIFEST) for folder in encoders]
    about = {"base": settings.model_dump(), "views": list(views), "recipes": [each.model_dump() for each in recipes]}
    if start is not None:
        about["continues"] = digests([start / ALIGNED])
    ingredients = {**about, "inputs": inputs, "encoders": standing, "code": code_hash}
    place, finished = restore_or_begin(Path(state), ingredients, Path(out), script, processes.chief)
    if finished is not None:
        return finished
    device = use_device(settings.gpus)

    # ---- load
    with full_disk_explained(place):
        flux = [
            each.mapped(pairs[name].to_numpy(), Path(state) / "flux", processes.chief).flux
            for each, name in zip(spectra, ("obsid", "other_obsid"), strict=True)
        ]
        bases = [read_manifest(folder)["base"] for folder in encoders]
        read = [load_encoder(folder) for folder in encoders]
        for view, encoder, values in zip(views, read, flux, strict=True):
            if encoder.pixels != values.shape[1]:
                raise StarglotError(
                    f"spectra of {view} have {values.shape[1]} values, its encoder reads {encoder.pixels}",
                    where="bases: encoders",
                    todo="name an encoder of this view, and build it again: its recipe has changed",
                )
        torch.manual_seed(settings.seed)
        network = Aligned(settings, [base["kind"] for base in bases], read).eval()
        learner: nn.Module = network.heads
        if start is not None:
            network.heads.load_state_dict(load_aligned(start).heads.state_dict())
            learner = learner_of(network.heads, settings.transfer)

        # ---- train
        plan = settings.training
        objective = Alignment(network, flux, split, plan.batch, device, processes)
        checkpoints = place / CHECKPOINTS
        trained = train(learner, objective, plan, settings.seed, device, checkpoints, "aligned", plan.clip, processes)
        if isinstance(learner, Updated):
            learner.merged()  # in place
        val_parts = _val_parts(objective, network.heads)

        # ---- save
        manifest = {
            "kind": settings.kind,
            "note": f"spectra of {views[0]} and {views[1]} of the same stars; test stars were not read",
            **about,
            "inputs": inputs,
            "encoders": [
                {"name": folder.name, "manifest": digest} for folder, digest in zip(encoders, standing, strict=True)
            ],
            "work": place.name,
            "counts": {
                **counts,
                **trained.counts,
                "parameters": sum(weight.numel() for weight in network.parameters()),
            },
            "seed": settings.seed,
            "metrics": {
                "train_loss": trained.at_best["loss"],
                "val_loss": trained.at_best["val_loss"],
                **val_parts,
            },
            "versions": versions(),
        }
        if not processes.chief:
            return manifest
        made = new_folder(place)
        save_aligned(network, bases, made)
        write_curve(trained.curve, made / "loss.csv")
        write_run(made, started, examples_per_second=trained.counts["examples"] / (time.time() - started))
        write_json(manifest, made / MANIFEST)
        return deliver(made, place, Path(out))


def _val_parts(objective: Alignment, heads: nn.Module) -> dict[str, float]:
    """Each part of the validation loss, a pair; of all processes, each of which calls this."""
    heads.eval()
    processes = objective.processes
    with torch.no_grad():
        parts = (processes.part(batch) for batch in objective.held_out())
        batches = (tuple(each.to(objective.device) for each in part) for part in parts)
        sums = [processes.added(objective.sums(heads, batch)) for batch in batches]
    totals = [float(sum(each[part] for each in sums)) for part in range(len(PARTS) + 1)]
    return {f"val_{name}": total / totals[-1] for name, total in zip(PARTS, totals, strict=False)}
