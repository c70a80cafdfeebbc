"""The spectra that a survey holds out, with their labels."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.samples.held_out import held_out
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    write_with_digest(held_out(pq.read_table(args.catalog), args.survey), args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--catalog", required=True)
    command.add_argument("--survey", required=True)
    command.add_argument("--out", required=True)
    run(main, command)
