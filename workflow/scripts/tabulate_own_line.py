"""The own-line test: which abundances are read from their own lines."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.own_line import NOTES, response_table
from starglot.evaluation.tables_io import write_table
from starglot.plots.own_line import draw_own_line


def main(args: argparse.Namespace) -> None:
    tables = {(path.parts[-3], path.parts[-2]): path for path in map(Path, args.predictions)}
    labels = args.settings["task"]["question"]["labels"]
    responses = response_table(tables, pq.read_table(args.changes), labels)
    title = "Own-line test on mock spectra: response of each abundance to its own element alone"
    write_table(responses, Path(args.csv).with_suffix(""), f"{title}.", NOTES)
    draw_own_line(responses, Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="own-line prediction tables")
    command.add_argument("--changes", required=True, help="labels of the own-line spectra, and which one changes")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
