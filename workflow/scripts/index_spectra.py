"""One small table of all shards: the digests of their cleaned spectra and rejections."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.store import drop_held
from starglot.surveys.index import index_table
from starglot.tables import write_text


def main(args: argparse.Namespace) -> None:
    shards = Path(args.shards).read_text(encoding="utf-8").split()
    folder = Path(args.out).parent
    write_text(index_table(shards, folder), args.out)
    drop_held(folder)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--shards", required=True, help="list of the shards")
    command.add_argument("--out", required=True, help="the index; the digests are read from its folder")
    run(main, command)
