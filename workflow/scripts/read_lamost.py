"""LAMOST catalogues -> one table, with the identity of each star."""

import argparse

from starglot.cli import parser, run
from starglot.config.models import Lamost
from starglot.samples.identity import star_ids
from starglot.surveys.counts import Counts
from starglot.surveys.lamost import read_catalog
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    counts = Counts()
    # Which bands are cut on decides which columns the catalogue must have; how hard, only which rows are selected.
    needed = dict.fromkeys(args.settings.get("snr_bands", []), 0.0)
    survey = Lamost.model_validate({**args.settings["survey"], "spectra": "", "snr_min": needed})
    catalog = read_catalog(survey, counts)
    write_with_digest(catalog.append_column("star_id", star_ids(catalog, counts)), args.out)
    counts.write_beside(args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--out", required=True)
    run(main, command)
