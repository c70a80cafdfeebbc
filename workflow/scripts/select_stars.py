"""The catalogue rows that the configured samples need, and every star matched to a survey."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.formats.counts import Counts
from starglot.samples.select import select
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    matched = {
        star for path in args.matches for star in pq.read_table(path, columns=["star_id"])["star_id"].to_pylist()
    }
    counts = Counts()
    candidates = select(
        pq.read_table(args.catalog),
        wanted=args.settings["wanted"],
        matched_stars=matched,
        snr_min=args.settings["snr_min"],
        margin=args.settings["select"]["margin"],
        seed=args.settings["seed"],
        counts=counts,
        places=args.settings["places"],
    )
    write_with_digest(candidates, args.out)
    counts.write_next_to(args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--catalog", required=True)
    command.add_argument("--matches", nargs="*", default=[], help="match tables of the label and validation surveys")
    command.add_argument("--out", required=True)
    run(main, command)
