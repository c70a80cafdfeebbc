"""Values of a network (ResNet-50, CNN, GRU, MLP) for a prediction set."""

import argparse

from starglot.cli import parser, run
from starglot.inference.baselines import predict_arguments, predict_files
from starglot.models.baselines.reading import read_network


def main(args: argparse.Namespace) -> None:
    predict_files(read_network, **vars(args))


if __name__ == "__main__":
    run(main, predict_arguments(parser(__doc__)))
