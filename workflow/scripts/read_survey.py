"""Another survey's catalogue -> one table, its flags applied."""

from starglot.cli import parser, run
from starglot.config.models import Apogee, GaiaEso, Galah
from starglot.registry import Registry
from starglot.surveys import apogee, gaia_eso, galah
from starglot.surveys.counts import Counts
from starglot.tables import write_with_digest

SURVEYS = Registry(
    {
        "apogee": (apogee.read_catalog, Apogee),
        "galah": (galah.read_catalog, Galah),
        "gaia_eso": (gaia_eso.read_catalog, GaiaEso),
    }
)


def main(args):
    read_catalog, settings = SURVEYS[args.survey]
    counts = Counts()
    write_with_digest(read_catalog(settings.model_validate(args.settings["survey"]), counts), args.out)
    counts.write_beside(args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--survey", required=True, choices=sorted(SURVEYS))
    command.add_argument("--out", required=True)
    run(main, command)
