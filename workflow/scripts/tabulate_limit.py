"""Models of one task against the information limit of mock spectra."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.limit import NOTES, limit_rows
from starglot.evaluation.tables_io import write_table


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    paths = list(map(Path, args.predictions))
    rows = limit_rows(
        pq.read_table(args.limit),
        {path.parts[-3]: path for path in paths},
        settings["task"]["question"]["labels"],
        task=settings["name"],
        size=paths[0].parts[-2],
        groups=settings["groups"],
    )
    caption = f"Errors against the truth in units of the information limit: task {settings['name']}, mock spectra."
    write_table(rows, Path(args.csv).with_suffix(""), caption, NOTES)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables of one size and set")
    command.add_argument("--limit", required=True, help="the limit by spectrum and label")
    command.add_argument("--csv", required=True)
    run(main, command)
