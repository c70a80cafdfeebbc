"""One sample as question-and-answer files of an encoding that makes tokens of flux."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.language.qa import file_names
from starglot.language.token_qa import write_token_qa
from starglot.tables import write_digests


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    write_token_qa(
        Path(args.out),
        Task.model_validate(settings["task"]),
        Wavelength.model_validate(settings["wavelength"]),
        sample=pq.read_table(args.sample),
        labels=pq.read_table(args.labels),
        files=settings["files"],
        seed=settings["seed"],
    )
    for split, names in file_names(settings["files"]).items():
        write_digests([Path(args.out) / name for name in names], Path(args.out) / f"{split}.sha256")


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--out", required=True, help="folder of the files")
    run(main, command)
