"""Training of a language model that reads patch tokens, at one task and size."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run, use_threads
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
    command.add_argument("--size", required=True)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--base", required=True, help="folder or Hugging Face id of the base model")
    command.add_argument("--found", nargs="?", help="what was found of the base (its revision), as JSON")
    command.add_argument("--continues", nargs="?", help="manifest of the model to continue from")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the work's identity")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--manifest", required=True)
    run(main, command)
