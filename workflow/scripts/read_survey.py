"""Another survey's catalogue -> one table, its flags applied."""

from starglot.cli import parser, run
from starglot.config.models import Apogee, GaiaEso, Galah
from starglot.surveys import apogee, gaia_eso, galah
from starglot.surveys.counts import Counts
from starglot.tables import write_json, write_with_digest

READERS = {"apogee": (apogee, Apogee), "galah": (galah, Galah), "gaia_eso": (gaia_eso, GaiaEso)}


def main(args):
    reader, settings = READERS[args.survey]
    counts = Counts()
    write_with_digest(reader.read_catalog(settings.model_validate(args.settings["survey"]), counts), args.out)
    write_json(counts.as_json(), args.counts)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--survey", required=True, choices=sorted(READERS))
    command.add_argument("--out", required=True)
    command.add_argument("--counts", required=True, help="the account of rows and values, as JSON")
    run(main, command)
