"""The page that a person reads."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.report.build import build_report
from starglot.report.inputs import inputs_of


def main(args: argparse.Namespace) -> None:
    out = Path(args.out)
    build_report(inputs_of(args.settings["plan"], out.parent), out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--out", required=True, help="the page; it is read from the folder that it stands in")
    run(main, command)
