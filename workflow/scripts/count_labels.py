"""Table 1: spectra with valid labels, by class."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.summary import table_1
from starglot.evaluation.tables_io import write_table
from starglot.samples.table_1 import valid_label_counts


def main(args: argparse.Namespace) -> None:
    of = stars_of(args.settings)
    write_table(
        table_1(valid_label_counts(pq.read_table(args.labels)), args.settings["objects"]),
        Path(args.csv).with_suffix(""),
        caption=f"Number of cleaned spectra with valid labels, by class: {of}.",
        notes=["Counted after every cut, on spectra that were cleaned (table 1 of the paper)."],
        objects=args.settings["objects"],
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--labels", required=True)
    command.add_argument("--csv", required=True, help="the table; .md and .tex come beside it")
    run(main, command)
