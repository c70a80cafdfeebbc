"""Values of the class mean or of ridge regression for a prediction set."""

import argparse

from starglot.cli import parser, run
from starglot.inference.baselines import predict_arguments, predict_files
from starglot.models.baselines.plain import READERS


def main(args: argparse.Namespace) -> None:
    predict_files(READERS[args.settings["model"]["kind"]], **vars(args))


if __name__ == "__main__":
    run(main, predict_arguments(parser(__doc__)))
