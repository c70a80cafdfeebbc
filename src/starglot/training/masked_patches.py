"""Pre-training of a language model on patches without labels: it fills in those that are hidden."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from starglot.config.bases.masked_patches import MaskedPatchesBase
from starglot.config.kinds.patch_llm import PixelAugment
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.root import Split
from starglot.models import llm
from starglot.models.baselines.reading import use_device
from starglot.models.patch_filler import PatchFiller, draw_hidden_patches
from starglot.models.patch_llm import save_projector
from starglot.models.projector import ENOUGH
from starglot.spectra.pixels import pixels, redraw_pixels
from starglot.spectra.resample import wavelength_grid
from starglot.spectra.sample_flux import evenly_spread
from starglot.store import CHECKPOINTS, new_folder
from starglot.surveys.index import spectra_digest
from starglot.tables import write_json, write_parquet
from starglot.training.adapters import VALIDATED, find_foundation
from starglot.training.delivery import MANIFEST, deliver, restore_or_begin, versions, write_run
from starglot.training.encoders import SPECTRA, read_seen, seen_spectra
from starglot.training.epochs import train, write_curve
from starglot.training.full_disk import full_disk_explained
from starglot.training.patches import fresh_projector
from starglot.training.processes import Batch, Sums, join_processes

#: Spectra that are held out together, at most.
_HELD_OUT = 64


@dataclass(frozen=True)
class HiddenPatches:
    """The objective: hidden patches from the others.

    flux: (n, size), mapped, int16; training, rest: numbers of the rows that are learnt from and held out; patches: of
    a spectrum; share: of them hidden; coarse: values; augment, noise (size,), wave (A): how spectra are drawn anew.
    """

    flux: np.ndarray
    training: np.ndarray
    rest: np.ndarray
    patches: int
    share: float
    coarse: int
    augment: PixelAugment
    noise: np.ndarray
    wave: np.ndarray

    def __len__(self) -> int:
        return len(self.training)

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        """A step's spectra, changed, and which of their patches are hidden."""
        fine, coarse = pixels(np.asarray(self.flux[self.training[chosen]]), self.coarse, self.wave)
        fine, coarse = redraw_pixels(fine, coarse, self.augment, self.noise, self.wave, rng)
        return self._hiding(fine, coarse, rng)

    def held_out(self) -> Iterator[Batch]:
        """The others as they are, each time with the same patches hidden."""
        for first in range(0, len(self.rest), _HELD_OUT):
            block = np.asarray(self.flux[self.rest[first : first + _HELD_OUT]])
            yield self._hiding(*pixels(block, self.coarse, self.wave), np.random.default_rng(first))

    def sums(self, network: nn.Module, batch: Batch) -> Sums:
        """Squared errors of hidden pixels, and how many there are; a missing pixel counts nowhere."""
        filled, true = network(*batch)
        known = torch.isfinite(true)
        return (filled - true.nan_to_num()).square().mul(known).sum(), known.sum()

    def loss(self, sums: Sums) -> Tensor:
        """Mean squared error, of standardised pixels."""
        return sums[0] / sums[1].clamp(min=1)

    def _hiding(self, fine: np.ndarray, coarse: np.ndarray, rng: np.random.Generator) -> Batch:
        hidden = draw_hidden_patches(len(fine), self.patches, self.share, rng)
        return torch.from_numpy(fine), torch.from_numpy(coarse.astype(np.float32)), torch.from_numpy(hidden)


def train_masked_patches(
    settings: MaskedPatchesBase,
    encoding: Patches,
    wavelength: Wavelength,
    index: Path,
    split: Split,
    split_seed: int,
    base: Mapping[str, Any],
    out: Path,
    state: Path,
    code_hash: str,
    script: Path | None = None,
) -> dict[str, Any]:
    """Teach a base to fill in hidden patches of a view's spectra; returns the manifest that it writes last.

    encoding, wavelength: of the view's spectra as patches; index, split, split_seed: as of
    :func:`starglot.training.encoders.train_encoder`; base: what :func:`starglot.models.bases.describe` says of the
    language model; out: gets that with the adapters merged into it, its tokenizer, the projector, spectra.parquet
    (what it has seen), loss.csv, run.json and manifest.json; state, code_hash, script: as of the same.

    Under torchrun every process calls it with the same arguments.  Raises StarglotError when the base is not there,
    when there are no training or no validation spectra, when the processes are not as many as the GPUs, and when the
    loss is not finite.
    """
    # ---- set up
    started = time.time()
    processes = join_processes(settings.gpus, "bases: gpus")
    rows = seen_spectra(index, split, split_seed)
    inputs = {"spectra": spectra_digest(rows, index.parent), "base": base["digest"]}
    about = {
        "base": settings.model_dump(exclude={"revision"}),
        "encoding": encoding.model_dump(),
        "wavelength": wavelength.model_dump(),
        "split": split.model_dump(exclude={"folds"}),
    }
    ingredients = {**about, "seed": split_seed, "inputs": inputs, "code": code_hash}
    place, finished = restore_or_begin(Path(state), ingredients, Path(out), script, processes.chief)
    if finished is not None:
        return finished
    device = use_device(settings.gpus)
    found = find_foundation(base, None, Path(state))

    # ---- load
    with full_disk_explained(place):
        flux, training, held_out = read_seen(rows, index, Path(state) / "flux", processes.chief)
        loaded = llm.load_base(found.folder, "none", for_training=True, on_gpu=settings.gpus > 0)
        few = training[evenly_spread(len(training), ENOUGH)]
        projector = fresh_projector(encoding, wavelength, loaded, [flux[few]], 0, settings.seed)
        adapted = llm.attach_adapter(loaded, settings.lora, settings.seed)
        torch.manual_seed(settings.seed)
        network = PatchFiller(projector, adapted)

        # ---- train
        plan = settings.training
        noise = projector.noise.cpu().numpy()
        changes = (plan.augment, noise, wavelength_grid(wavelength))
        objective = HiddenPatches(
            flux, training, held_out[:VALIDATED], projector.patches, settings.hidden, encoding.coarse, *changes
        )
        checkpoints = place / CHECKPOINTS
        trained = train(
            network, objective, plan, settings.seed, device, checkpoints, settings.kind, plan.clip, processes
        )

        # ---- save
        manifest = {
            "kind": settings.kind,
            "note": f"taught without labels on spectra of {settings.view}; test stars were not read",
            **about,
            "foundation": dict(found.about),
            "inputs": inputs,
            "work": place.name,
            "counts": {
                "train": len(training),
                "val": len(held_out),
                "patches": projector.patches,
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
        merged = adapted.merge_and_unload()
        merged.config.use_cache = True
        merged.save_pretrained(str(made))
        llm.load_tokenizer(found.folder).save_pretrained(str(made))
        save_projector(projector, made)
        write_parquet(rows.drop_columns(["shard"]), made / SPECTRA)
        write_curve(trained.curve, made / "loss.csv")
        write_run(made, started, examples_per_second=trained.counts["examples"] / (time.time() - started))
        write_json(manifest, made / MANIFEST)
        return deliver(made, place, Path(out))
