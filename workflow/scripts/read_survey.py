"""A survey's catalogue -> one table, its flags applied; with the identity of each star, where spectra are read."""

import argparse

from starglot.cli import parser, run
from starglot.config.surveys.common import SpectrumSurvey
from starglot.formats.counts import Counts
from starglot.samples.star_ids import star_ids
from starglot.surveys.common_columns import with_common_columns
from starglot.surveys.registry import CATALOGS
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    survey, counts = CATALOGS[args.survey], Counts()
    settings = survey.SETTINGS.model_validate(args.settings["survey"])
    catalog = with_common_columns(survey.read_catalog(settings, counts), settings, args.survey)
    if isinstance(settings, SpectrumSurvey):
        named = star_ids(catalog, counts, args.survey, settings.own_ids, settings.gaia_release)
        catalog = catalog.append_column("star_id", named)
    write_with_digest(catalog, args.out)
    counts.write_next_to(args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--survey", required=True, choices=sorted(CATALOGS))
    command.add_argument("--out", required=True)
    run(main, command)
