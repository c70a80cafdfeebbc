"""Training of a language model that reads patch tokens, at one task and size."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run, train_language_model_with, use_threads
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.fingerprint import memory
from starglot.hashing import manifest_digest
from starglot.models.bases import describe
from starglot.surveys.index import require_shards, sample_digests
from starglot.tables import read_json
from starglot.training.patch_encoder import Encoder
from starglot.training.patches import Spectra, train_patches


def main(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    settings, spectra = args.settings, spectra_of(args.sample, args.labels, args.index)
    found = read_json(args.found) if args.found else {}
    base = describe(args.base, memory(args.state), found.get("revision"))
    earlier = spectra_of(*args.replayed) if args.replayed else None
    lines = spectra_of(*args.lines) if args.lines else None
    encoder = Encoder(Path(args.encoder).parent, settings.get("view")) if args.encoder else None
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
            **({} if lines is None else {"lines": lines.inputs}),
            **({} if encoder is None else {"encoder": encoder.digests}),
        },
        script=Path(__file__),
        earlier=earlier,
        lines=lines,
        encoder=encoder,
    )


def spectra_of(sample: str, labels: str, index: str) -> Spectra:
    """A sample with its labels and where its spectra are."""
    folder = Path(index).parent
    require_shards(index, folder)
    rows, values = pq.read_table(sample), pq.read_table(labels)
    return Spectra(rows, values, lambda shard: folder / f"{shard}.parquet", sample_digests(rows, values, index))


if __name__ == "__main__":
    command = parser(__doc__)
    train_language_model_with(command)
    command.add_argument("--sample", required=True)
    command.add_argument("--replayed", nargs="*", help="sample, labels and index of what it goes back to")
    command.add_argument("--lines", nargs="*", help="sample, labels and index of synthetic spectra that teach lines")
    command.add_argument("--encoder", nargs="?", help="manifest of the base whose embeddings are read, too")
    run(main, command)
