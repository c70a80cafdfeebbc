"""Values of the class mean or of ridge regression for a prediction set."""

import argparse

from starglot.cli import parser, run
from starglot.inference.baselines import Reader, predict_arguments, predict_files
from starglot.models.baselines.class_mean import read_class_mean
from starglot.models.baselines.ridge import read_ridge
from starglot.registry import Registry

READERS: Registry[Reader] = Registry({"class_mean": read_class_mean, "ridge": read_ridge})


def main(args: argparse.Namespace) -> None:
    predict_files(READERS[args.settings["model"]["kind"]], **vars(args))


if __name__ == "__main__":
    run(main, predict_arguments(parser(__doc__)))
