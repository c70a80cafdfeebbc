"""Stars of LAMOST in another survey."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.samples.match import match
from starglot.tables import write_with_digest

#: Column that names a star in each survey's table.
IDS = {"apogee": "apogee_id", "galah": "source_id", "gaia_eso": "source_id"}


def main(args: argparse.Namespace) -> None:
    matched = match(
        pq.read_table(args.lamost),
        pq.read_table(args.other),
        other_id=IDS[args.survey],
        lamost_gaia_release=args.settings["gaia_release"],
        radius_arcsec=args.settings["match"]["radius_arcsec"],
    )
    write_with_digest(matched, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--lamost", required=True)
    command.add_argument("--other", required=True)
    command.add_argument("--survey", required=True, choices=sorted(IDS))
    command.add_argument("--out", required=True)
    run(main, command)
