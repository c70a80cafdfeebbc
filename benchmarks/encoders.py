"""Encoders of spectra: training and embedding by the workflow, against a plain PyTorch loop of the same model.

    python benchmarks/encoders.py [--size demo|full] [--spectra 2000] [--epochs 2] [--gpu]

Each case is a process of its own, so that its memory is its own.  Spectra are synthetic, 1,462 values for the masked
encoder and 343 for the autoencoder, cleaned shards of int16 on disk as the workflow has them; the plain loop has them
in memory.  Rates are per CPU second on a CPU, which other work does not distort, and per second on a GPU, there with
the share of the peak.  Embeddings of both ways are compared and must agree.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from starglot.config.bases.encoders import AutoencoderBase, EncoderBase, EncoderTraining, MaskedEncoderBase
from starglot.config.recipes import Recipe
from starglot.config.root import Split
from starglot.hashing import file_digest
from starglot.tables import FLUX_SCALE, spectra_table, write_parquet, write_text
from starglot.workflow.gpu_cost import PEAKS

PIXELS = {"masked_encoder": 1462, "autoencoder": 343}
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "demo": {
        "masked_encoder": {"width": 64, "blocks": 2, "heads": 4},
        "autoencoder": {"width": 64, "hidden": 256},
    },
    "full": {"masked_encoder": {}, "autoencoder": {}},
}
#: Stars that train; the others choose the epoch, and none is a test star here.
SPLIT = Split(train=0.9, val=0.0999, test=0.0001)
BATCH = {"demo": 64, "full": 512}


def settings_of(kind: str, options: argparse.Namespace) -> EncoderBase:
    """The base of a case."""
    training = EncoderTraining(epochs=options.epochs, batch=BATCH[options.size], learning_rate=1e-4)
    own = SIZES[options.size][kind] | {"view": "lamost/blue", "gpus": int(options.gpu), "training": training}
    return MaskedEncoderBase(kind=kind, **own) if kind == "masked_encoder" else AutoencoderBase(kind=kind, **own)


def write_shard(folder: Path, kind: str, count: int) -> None:
    """Smooth spectra with noise, as one cleaned shard with its index."""
    rng, pixels = np.random.default_rng(0), PIXELS[kind]
    x = np.linspace(-1, 1, pixels)
    flux = (
        0.9
        + rng.normal(0, 0.1, (count, 6)) @ np.cos(np.outer(np.arange(6), 9 * x))
        + rng.normal(0, 0.02, (count, pixels))
    )
    stars = [f"gaia:{number}" for number in range(count)]
    stored = np.rint(FLUX_SCALE * flux).astype(np.int16)
    table = spectra_table(np.arange(count), stars, stored, pa.nulls(count, pa.int32()))
    write_parquet(table, folder / "shard.parquet")
    digest = file_digest(folder / "shard.parquet")
    write_text(f"shard\tspectra\trejected\nshard\t{digest}\t-\n", folder / "index.tsv")


def own_way(settings: EncoderBase, folder: Path) -> dict[str, Any]:
    """Train by the workflow's code, then embed all spectra."""
    import torch

    from starglot.models.encoders.files import Embedder
    from starglot.tables import read_spectra
    from starglot.training.encoders import train_encoder

    clock = clock_of(settings)
    start = clock()
    made = train_encoder(
        settings, Recipe(), folder / "index.tsv", SPLIT, 1, folder / "base", folder / "state", "code"
    )
    trained = made["counts"]["examples"] / (clock() - start)
    flux = read_spectra([folder / "shard.parquet"], np.arange(made["counts"]["train"]))
    embedder = Embedder(folder / "base", torch.device("cuda" if settings.gpus else "cpu"))
    start = clock()
    embeddings = embedder(flux)
    embedded = len(flux) / (clock() - start)
    np.save(folder / "own.npy", embeddings)
    return {"train": trained, "embed": embedded, "parameters": made["counts"]["parameters"]}


def plain_way(settings: EncoderBase, folder: Path) -> dict[str, Any]:
    """The same steps as one would write them down: all spectra in memory, no checkpoint, no curve."""
    import torch
    from torch.nn.functional import mse_loss

    from starglot.models.encoders.autoencoder import described
    from starglot.models.encoders.files import ENCODERS, load_encoder
    from starglot.models.encoders.masked import draw_hidden, tokens_of
    from starglot.samples.split import split_of
    from starglot.tables import read_spectra

    clock, device = clock_of(settings), torch.device("cuda" if settings.gpus else "cpu")
    count = len(pa.parquet.read_table(folder / "shard.parquet", columns=["obsid"]))
    flux = read_spectra([folder / "shard.parquet"], np.arange(count))
    of, _ = split_of([f"gaia:{number}" for number in range(count)], SPLIT, 1)
    whole = torch.from_numpy(flux[of == "train"] / np.float32(FLUX_SCALE))
    network = ENCODERS[settings.kind](settings.model_dump(), flux.shape[1]).to(device)
    plan, rng = settings.training, np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    start = clock()
    for _ in range(plan.epochs):
        for chosen in torch.randperm(len(whole)).split(plan.batch):
            spectra = whole[chosen].to(device)
            if settings.kind == "masked_encoder":
                tokens = tokens_of(spectra)
                hidden = torch.from_numpy(draw_hidden(len(tokens), tokens.shape[1], rng)).to(device)
                said = network(tokens.masked_fill(hidden[..., None], 0.0))
                loss = mse_loss(said[hidden], tokens[hidden])
            else:
                inputs = described(spectra)
                loss = mse_loss(network(inputs), inputs)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
    trained = plan.epochs * len(whole) / (clock() - start)
    network = load_encoder(folder / "base").to(device)  # of the other case: both embed by the same weights
    few = torch.from_numpy(flux[: len(np.load(folder / "own.npy"))] / np.float32(FLUX_SCALE))
    start = clock()
    with torch.no_grad():
        embeddings = torch.cat([network.embed(part.to(device)).cpu() for part in few.split(256)]).numpy()
    embedded = len(few) / (clock() - start)
    apart = float(np.abs(embeddings - np.load(folder / "own.npy")).max())
    return {"train": trained, "embed": embedded, "apart": apart}


def clock_of(settings: EncoderBase) -> Any:
    """CPU seconds, or seconds where a GPU works."""
    return time.perf_counter if settings.gpus else time.process_time


def operations(kind: str, parameters: int) -> float:
    """Of a training step, for a spectrum: 6 for each weight and token, attention's own products aside."""
    tokens = 146 if kind == "masked_encoder" else 1
    return 6.0 * parameters * tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="demo")
    parser.add_argument("--spectra", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--case", nargs=3, metavar=("WAY", "KIND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        way, kind, folder = options.case
        found = (own_way if way == "own" else plain_way)(settings_of(kind, options), Path(folder))
        found["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    per = "second" if options.gpu else "CPU second"
    print(f"{options.size} size, {options.spectra} spectra, {options.epochs} epochs; spectra a {per}, one process\n")
    print(f"{'':<32}{'training':>10}{'embedding':>11}{'memory':>10}")
    for kind in PIXELS:
        with tempfile.TemporaryDirectory() as folder:
            write_shard(Path(folder), kind, options.spectra)
            for way in ("own", "plain"):
                command = [sys.executable, __file__, *sys.argv[1:], "--case", way, kind, folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found = json.loads(done.stdout.splitlines()[-1])
                title = f"{kind}, {'the workflow' if way == 'own' else 'a plain loop'}"
                print(f"{title:<32}{found['train']:>10,.0f}{found['embed']:>11,.0f}{found['memory_mb']:>7,.0f} MB")
                if way == "own" and options.gpu:
                    import torch

                    name = torch.cuda.get_device_name(0)
                    peak = next((value for key, value in PEAKS.items() if key in name), None)
                    if peak:
                        share = operations(kind, found["parameters"]) * found["train"] / peak
                        print(f"{'':<32}{share:>10.1%} of the peak of {name} in bfloat16")
                if way == "plain" and found["apart"] > 1e-3:
                    raise SystemExit(f"{kind}: embeddings differ by {found['apart']:.2g}")


if __name__ == "__main__":
    main()
