"""What the splits of the samples share."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.leakage import NOTES, leakage_table
from starglot.evaluation.tables_io import write_table


def main(args: argparse.Namespace) -> None:
    samples = {(path.parts[-2], path.stem): path for path in map(Path, args.samples)}
    catalog = pq.read_table(args.catalog, columns=["obsid", "ra", "dec", "shard"])
    write_table(
        leakage_table(samples, catalog), Path(args.csv).with_suffix(""), "Leakage audit of the samples.", NOTES
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--samples", nargs="+", required=True)
    command.add_argument("--catalog", required=True, help="candidates: positions and plates")
    command.add_argument("--csv", required=True)
    run(main, command)
