"""The labels of every cleaned spectrum that has any."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.config.tasks import Task
from starglot.samples.labels import collect_labels
from starglot.surveys.index import require_shards
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    spectra = Path(args.index).parent
    shards = require_shards(args.index, spectra)
    labels = collect_labels(
        Task.model_validate(args.settings["task"]),
        candidates=Path(args.candidates),
        spectra=[spectra / f"{shard}.parquet" for shard in shards],
        match_table=Path(args.match) if args.match else None,
        external=args.external,
    )
    write_with_digest(labels, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--candidates", required=True, help="the survey's selected catalogue rows")
    command.add_argument("--match", nargs="?", help="match table that brings the labels; none: the catalogue's own")
    command.add_argument("--external", help="the survey of the match, where the task does not learn from it")
    command.add_argument("--out", required=True)
    run(main, command)
