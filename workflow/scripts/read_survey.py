"""Another survey's catalogue -> one table, its flags applied."""

import argparse
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from starglot.cli import parser, run
from starglot.config.models import Apogee, GaiaEso, Galah
from starglot.config.strict import Strict
from starglot.registry import Registry
from starglot.surveys import apogee, gaia_eso, galah
from starglot.surveys.counts import Counts
from starglot.tables import write_with_digest

#: Survey -> its reader, and its settings.
SURVEYS: Registry[tuple[Callable[[Any, Counts], pa.Table], type[Strict]]] = Registry(
    {
        "apogee": (apogee.read_catalog, Apogee),
        "galah": (galah.read_catalog, Galah),
        "gaia_eso": (gaia_eso.read_catalog, GaiaEso),
    }
)


def main(args: argparse.Namespace) -> None:
    read_catalog, settings = SURVEYS[args.survey]
    counts = Counts()
    write_with_digest(read_catalog(settings.model_validate(args.settings["survey"]), counts), args.out)
    counts.write_beside(args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--survey", required=True, choices=sorted(SURVEYS))
    command.add_argument("--out", required=True)
    run(main, command)
