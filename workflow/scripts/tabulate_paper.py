"""Tables 2 to 8 of the paper, computed from residual tables, beside the paper's own numbers."""

import argparse
from pathlib import Path

import pandas as pd

from starglot.cli import parser, run
from starglot.evaluation.numbered import EXTERNAL, KINDS, numbered_table, printed, table_notes
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import read_table, write_table


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = stars_of(settings | {"objects": "stars"})  # the paper's tables are of stars, whatever else the run has
    kinds = {False: args.residuals, True: args.external}
    held = {kind: pd.concat(map(read_table, paths)) if paths else None for kind, paths in kinds.items()}
    for number, kind in KINDS.items():
        plan = dict(settings["tables"][str(number)])
        note = plan.pop("note")
        frame = numbered_table(number, held[number in EXTERNAL], **plan)
        notes = [*table_notes(number, frame), *([note] if note else [])]
        write_table(
            frame, Path(args.out) / f"table_{number}", f"{kind.caption}: {of}.", notes, printed(number, frame)
        )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--residuals", nargs="*", default=[], help="residuals against the labels that were learnt")
    command.add_argument("--external", nargs="*", default=[], help="residuals against external surveys")
    command.add_argument("--out", required=True, help="folder of the tables")
    run(main, command)
