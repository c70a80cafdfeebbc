"""The class mean, or ridge regression, on one sample."""

import argparse

from starglot.cli import parser, run
from starglot.training.baselines import train_arguments, train_files
from starglot.training.plain import fit_plain


def main(args: argparse.Namespace) -> None:
    train_files(fit_plain, **vars(args))


if __name__ == "__main__":
    run(main, train_arguments(parser(__doc__)))
