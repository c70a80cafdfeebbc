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
    settings, spectra = args.settings, spectra_of(args.sample, args.labels, args.index)
    found = read_json(args.found) if args.found else {}
    base = describe(args.base, memory(args.state), found.get("revision"))
    earlier = spectra_of(*args.replayed) if args.replayed else None
    train_patches(
        PatchLlm.model_validate(settings["model"]),
        Task.model_validate(settings["task"]),
        Patches.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        size=args.size,
        base=base,
        start=Path(args.continues).parent if args.continues else None,
        spectra=spectra,
        out=Path(args.manifest).parent,
        state=Path(args.state),
        ingredients={
            "settings": settings,
            "size": args.size,
            "code": args.code_hash,
            **spectra.inputs,
            "base": base["digest"],
            "start": manifest_digest(args.continues) if args.continues else None,
            **({} if earlier is None else {"replayed": earlier.inputs}),
        },
        script=Path(__file__),
        earlier=earlier,
    )


def spectra_of(sample: str, labels: str, index: str) -> Spectra:
    """A sample with its labels and where its spectra are."""
    folder = Path(index).parent
    require_shards(index, folder)
    rows, values = pq.read_table(sample), pq.read_table(labels)
    return Spectra(rows, values, lambda shard: folder / f"{shard}.parquet", sample_digests(rows, values, index))


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--size", required=True)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--base", required=True, help="folder or Hugging Face id of the base model")
    command.add_argument("--found", nargs="?", help="what was found of the base (its revision), as JSON")
    command.add_argument("--continues", nargs="?", help="manifest of the model to continue from")
    command.add_argument("--replayed", nargs="*", help="sample, labels and index of what it goes back to")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the work's identity")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--manifest", required=True)
    run(main, command)
