"""Ask a language model that reads patch tokens about the spectra of one set."""

import argparse
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import ask_language_model_with, parser, run, use_threads
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.inference.patches import predict_patches
from starglot.samples.split import training_stars
from starglot.surveys.index import require_shards, sample_digests
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    settings, folder = args.settings, Path(args.index).parent
    require_shards(args.index, folder)
    whole, labels = pq.read_table(args.sample), pq.read_table(args.labels)
    sample = whole.filter(pc.equal(whole["split"], args.split))
    predictions = predict_patches(
        PatchLlm.model_validate(settings["model"]),
        Task.model_validate(settings["task"]),
        Patches.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        base=args.base,
        folder=Path(args.model).parent,
        sample=sample,
        labels=labels,
        shard_path=lambda shard: folder / f"{shard}.parquet",
        inputs=sample_digests(sample, labels, args.index),
        seen_stars=training_stars(args.seen),
        state=args.state,
        code_hash=args.code_hash,
    )
    write_with_digest(predictions, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    ask_language_model_with(command)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    run(main, command)
