"""Spectra of the same stars in two views."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.root import Split
from starglot.samples.pairs import pair, read_side
from starglot.tables import write_json, write_with_digest


def main(args: argparse.Namespace) -> None:
    read = zip(args.settings["views"], map(Path, args.indexes), args.candidates, strict=True)
    first, second = (read_side(*each) for each in read)
    pairs, manifest = pair(
        first,
        second,
        match=pq.read_table(args.match, columns=["star_id", "other_star_id", "method"]),
        split=Split.model_validate(args.settings["split"]),
        seed=args.settings["seed"],
    )
    write_json(manifest, args.manifest)
    write_with_digest(pairs, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--indexes", nargs=2, required=True, help="of the cleaned spectra, each in their folder")
    command.add_argument("--candidates", nargs=2, required=True, help="the selected catalogue rows of either survey")
    command.add_argument("--match", required=True, help="stars of the first survey in the other one")
    command.add_argument("--out", required=True)
    command.add_argument("--manifest", required=True)
    run(main, command)
