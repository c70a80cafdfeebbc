"""LAMOST catalogues -> one table, with the identity of each star."""

from starglot.cli import parser, run
from starglot.config.models import Lamost
from starglot.samples.identity import star_ids
from starglot.surveys.counts import Counts
from starglot.surveys.lamost import read_catalog
from starglot.tables import write_json, write_with_digest


def main(args):
    counts = Counts()
    catalog = read_catalog(Lamost.model_validate({**args.settings["survey"], "spectra": ""}), counts)
    write_with_digest(catalog.append_column("star_id", star_ids(catalog, counts)), args.out)
    write_json(counts.as_json(), args.counts)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--out", required=True)
    command.add_argument("--counts", required=True, help="the account of rows and values, as JSON")
    run(main, command)
