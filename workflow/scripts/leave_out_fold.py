"""A sample less one fold of stars."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.samples.folds import leave_out
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    write_with_digest(leave_out(pq.read_table(args.sample), args.fold), args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--fold", type=int, required=True)
    command.add_argument("--out", required=True)
    run(main, command)
