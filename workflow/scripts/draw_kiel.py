"""Kiel diagram of one model and set."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.residuals import read_predictions
from starglot.plots.kiel import draw_kiel


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = stars_of(settings)
    draw_kiel(
        read_predictions(args.predictions),
        Path(args.png).with_suffix(""),
        title=f"{args.model}, trained on {args.size}, set {args.set}, {of}",
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", required=True)
    command.add_argument("--model", required=True)
    command.add_argument("--size", required=True)
    command.add_argument("--set", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
