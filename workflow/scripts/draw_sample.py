"""A task's selection of one size."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.root import Split
from starglot.config.tasks import Task
from starglot.samples.draw import draw
from starglot.tables import write_json, write_with_digest


def main(args: argparse.Namespace) -> None:
    sample, manifest = draw(
        pq.read_table(args.labels),
        Task.model_validate(args.settings["task"]),
        args.size,
        Split.model_validate(args.settings["split"]),
        args.settings["seed"],
    )
    write_json(manifest, args.manifest)
    write_with_digest(sample, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--labels", required=True)
    command.add_argument("--size", required=True)
    command.add_argument("--out", required=True)
    command.add_argument("--manifest", required=True)
    run(main, command)
