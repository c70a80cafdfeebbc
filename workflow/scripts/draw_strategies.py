"""Predicted against label, a panel for each model carried over and each label."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.plots.transfer.strategies import draw_strategies


def main(args: argparse.Namespace) -> None:
    settings, found = args.settings, {}
    # .../predictions/{task}/{model}/{size}/{set}.parquet
    for path in map(Path, args.predictions):
        table = read_predictions(path)
        found[path.parts[-3]] = {label: judged(table, label) for label in settings["labels"]}
    title = f"Predictions against labels, by strategy ({stars_of(settings)})"
    draw_strategies(found, settings["strategies"], Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables of one set, a model each")
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
