"""Language retention of a task's tuned models, beside their errors on spectra."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.retention import NOTES, retention_table
from starglot.evaluation.tables_io import write_table
from starglot.plots.retention import draw_retention


def main(args: argparse.Namespace) -> None:
    # .../retention/{task}/{model}/{size}/{questions}.json and .../predictions/{task}/{model}/{size}/{set}.parquet
    tuned = {(*path.parts[-4:-1], path.stem): path for path in map(Path, args.tuned)}
    predictions = {path.parts[-4:-1]: path for path in map(Path, args.predictions)}
    task = args.settings["name"]
    table = retention_table(tuned, args.untuned, predictions, args.settings["label"])  # type: ignore[arg-type]
    title = f"Language retention after training on {task} ({stars_of(args.settings)})"
    write_table(table, Path(args.csv).with_suffix(""), f"{title}.", NOTES, objects=args.settings["objects"])
    draw_retention(table, Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--tuned", nargs="+", required=True, help="answers of tuned models to question sets")
    command.add_argument("--untuned", nargs="+", required=True, help="answers of their bases")
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables of the tuned models")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
