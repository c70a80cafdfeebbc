"""One sample as question-and-answer files."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.language.qa import file_names, write_qa
from starglot.surveys.index import require_shards
from starglot.tables import write_digests


def main(args: argparse.Namespace) -> None:
    spectra = Path(args.index).parent
    require_shards(args.index, spectra)
    settings = args.settings
    write_qa(
        Path(args.out),
        Task.model_validate(settings["task"]),
        Encoding.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        sample=pq.read_table(args.sample),
        labels=pq.read_table(args.labels),
        shard_path=lambda shard: spectra / f"{shard}.parquet",
        files=settings["files"],
        seed=settings["seed"],
        workers=args.workers,
    )
    for split, names in file_names(settings["files"]).items():
        write_digests([Path(args.out) / name for name in names], Path(args.out) / f"{split}.sha256")


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--out", required=True, help="folder of the files")
    run(main, command)
