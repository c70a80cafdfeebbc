"""Values of gradient-boosted trees for a prediction set."""

import argparse

from starglot.cli import parser, run
from starglot.inference.baselines import predict_arguments, predict_files
from starglot.models.baselines.trees import read_trees


def main(args: argparse.Namespace) -> None:
    predict_files(read_trees, **vars(args))


if __name__ == "__main__":
    run(main, predict_arguments(parser(__doc__)))
