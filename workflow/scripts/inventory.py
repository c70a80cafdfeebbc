"""Which of the selected spectra are on disk, and in which files, by shard."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.samples.inventory import inventory
from starglot.surveys.registry import FILES
from starglot.tables import write_parquet, write_text


def main(args: argparse.Namespace) -> None:
    parts = (args.surveys, args.candidates, args.roots, args.shards, args.folders)
    for survey, candidates, root, listed, folder in zip(*parts, strict=True):
        shards = inventory(pq.read_table(candidates), Path(root), FILES[survey])
        for shard, rows in shards.items():
            write_parquet(rows, Path(folder) / f"{shard}.parquet")
        write_text("".join(f"{shard}\n" for shard in sorted(shards)), listed)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--surveys", nargs="+", required=True, choices=sorted(FILES))
    command.add_argument("--candidates", nargs="+", required=True, help="selected catalogue rows, by survey")
    command.add_argument("--roots", nargs="+", required=True, help="roots of the spectra, by survey")
    command.add_argument("--shards", nargs="+", required=True, help="lists of the shards, by survey")
    command.add_argument("--folders", nargs="+", required=True, help="folders of the shards' rows, by survey")
    run(main, command)
