"""Models carried from one survey to another: R2 and scatter by strategy, metal-poor and metal-rich stars apart."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer.tables import NOTES, transfer_table


def main(args: argparse.Namespace) -> None:
    # .../predictions/{task}/{model}/{size}/{set}.parquet
    tables = {(*path.parts[-4:-1], path.stem): path for path in map(Path, args.predictions)}
    release = f"{args.settings['release']}{', a mock' if args.settings['mock'] else ''}"
    table = transfer_table(tables, args.settings["strategies"])
    write_table(table, Path(args.csv).with_suffix(""), f"Models carried to another survey ({release}).", NOTES)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables")
    command.add_argument("--csv", required=True)
    run(main, command)
