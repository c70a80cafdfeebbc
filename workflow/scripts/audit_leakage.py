"""What the splits of the samples share."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.leakage import NOTES, leakage_table
from starglot.evaluation.tables_io import write_table


def main(args: argparse.Namespace) -> None:
    samples = {(path.parts[-2], path.stem): path for path in map(Path, args.samples)}
    of_survey = {
        Path(path).stem: pq.read_table(path, columns=["obsid", "ra", "dec", "shard"]) for path in args.catalogs
    }
    catalogs = {task: of_survey[survey] for task, survey in args.settings["surveys"].items()}
    write_table(
        leakage_table(samples, catalogs),
        Path(args.csv).with_suffix(""),
        "Leakage audit of the samples.",
        NOTES,
        objects=args.settings["objects"],
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--samples", nargs="+", required=True)
    command.add_argument("--catalogs", nargs="+", required=True, help="candidates by survey: positions and plates")
    command.add_argument("--csv", required=True)
    run(main, command)
