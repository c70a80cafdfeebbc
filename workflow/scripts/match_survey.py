"""Stars of a survey in another one."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.samples.match import match, one_row_a_star
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    other, star = pq.read_table(args.other), args.settings["star"]
    if visits := args.settings.get("visits"):
        other, star = one_row_a_star(other, visits["labels"], visits["gaia_release"]), "other_star_id"
    matched = match(
        pq.read_table(args.catalog),
        other,
        other_id=star,
        gaia_release=args.settings["gaia_release"],
        radius_arcsec=args.settings["match"]["radius_arcsec"],
    )
    write_with_digest(matched, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--catalog", required=True, help="the survey whose spectra are read")
    command.add_argument("--other", required=True, help="the survey that brings labels")
    command.add_argument("--out", required=True)
    run(main, command)
