"""The page that a person reads."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.config.models import Config
from starglot.report.build import build_report
from starglot.report.inputs import inputs_of


def main(args: argparse.Namespace) -> None:
    out = Path(args.out)
    shown = {path.resolve() for path in args.shown}
    config = Config.model_validate(args.settings["config"])
    build_report(inputs_of(config, out.parent, is_there=lambda path: path.resolve() in shown), out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--shown", nargs="*", type=Path, default=[], help="tables and figures that the page shows")
    command.add_argument("--out", required=True, help="the page; it is read from the folder that it stands in")
    run(main, command)
