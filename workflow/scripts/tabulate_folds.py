"""Cross-validation over star-disjoint folds, of one task."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.crossval import NOTES, crossval_table
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import write_table


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    task = settings["name"]
    paths = map(Path, args.predictions)
    tables = {(path.parts[-3], path.parts[-2], path.name.split(".")[0]): path for path in paths}
    frame = crossval_table(tables, settings["task"]["question"]["labels"], task=task)
    of = f"task {task}, {stars_of(settings)}"
    caption = f"Cross-validation over star-disjoint folds: {of}."
    write_table(frame, Path(args.csv).with_suffix(""), caption, NOTES, objects=settings["objects"])


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="raw predictions of each fold, by its model")
    command.add_argument("--csv", required=True)
    run(main, command)
