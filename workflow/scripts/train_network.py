"""A network (ResNet-50, CNN, GRU, MLP) on one sample."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.training.baselines import train_arguments, train_files
from starglot.training.networks import fit_network


def main(args: argparse.Namespace) -> None:
    train_files(fit_network, **vars(args), script=Path(__file__))


if __name__ == "__main__":
    run(main, train_arguments(parser(__doc__)))
