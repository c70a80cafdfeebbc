"""Training of a language model that reads patch tokens, at one task and size."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run, train_language_model_with, use_threads
from starglot.config.patch_llm import PatchLlm
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.fingerprint import memory
from starglot.hashing import manifest_digest
from starglot.models.bases import describe
from starglot.surveys.index import require_shards, sample_digests
from starglot.tables import read_json
from starglot.training.patches import Spectra, train_patches


def main(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    settings, folder = args.settings, Path(args.index).parent
    require_shards(args.index, folder)
    found = read_json(args.found) if args.found else {}
    base = describe(args.base, memory(args.state), found.get("revision"))
    sample, labels = pq.read_table(args.sample), pq.read_table(args.labels)
    inputs = sample_digests(sample, labels, args.index)
    train_patches(
        PatchLlm.model_validate(settings["model"]),
        Task.model_validate(settings["task"]),
        Patches.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        size=args.size,
        base=base,
        start=Path(args.continues).parent if args.continues else None,
        spectra=Spectra(sample, labels, lambda shard: folder / f"{shard}.parquet", inputs),
        out=Path(args.manifest).parent,
        state=Path(args.state),
        ingredients={
            "settings": settings,
            "size": args.size,
            "code": args.code_hash,
            **inputs,
            "base": base["digest"],
            "start": manifest_digest(args.continues) if args.continues else None,
        },
        script=Path(__file__),
    )


if __name__ == "__main__":
    command = parser(__doc__)
    train_language_model_with(command)
    command.add_argument("--sample", required=True)
    run(main, command)
