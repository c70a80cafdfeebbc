"""Figures 1 to 8 of the paper: predicted against the labels of external surveys."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.residuals import read_predictions
from starglot.plots.points import points
from starglot.plots.predicted import draw_predicted


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = stars_of(settings)
    for number, figure in settings["figures"].items():
        task, size, name = figure["task"], figure["size"], figure["set"]
        path = Path(args.predictions) / task / figure["model"] / size / f"{name}.parquet"
        predictions = read_predictions(path)
        measured = [label for label in figure["labels"] if len(points(predictions, label))]
        draw_predicted(
            predictions,
            Path(args.out) / f"figure_{number}",
            title=f"Figure {number}: {figure['model']} ({task}, {size}), {of}, against {figure['survey']}",
            labels=measured or figure["labels"],
            reference=figure["survey"],
        )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", required=True, help="folder of the prediction tables")
    command.add_argument("--out", required=True, help="folder of the figures")
    run(main, command)
