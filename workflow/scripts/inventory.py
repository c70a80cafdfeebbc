"""Which of the selected files are on disk, by shard."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.samples.inventory import inventory
from starglot.tables import write_parquet, write_text


def main(args: argparse.Namespace) -> None:
    shards = inventory(pq.read_table(args.candidates), Path(args.root))
    for shard, rows in shards.items():
        write_parquet(rows, Path(args.folder) / f"{shard}.parquet")
    write_text("".join(f"{shard}\n" for shard in sorted(shards)), args.shards)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--candidates", required=True)
    command.add_argument("--root", required=True, help="root of the spectra")
    command.add_argument("--shards", required=True)
    command.add_argument("--folder", required=True)
    run(main, command)
