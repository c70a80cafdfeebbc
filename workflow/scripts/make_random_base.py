"""A tiny base with random weights, for patch tokens."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.config.bases.random import RandomBase
from starglot.training.random_base import make_random_base


def main(args: argparse.Namespace) -> None:
    make_random_base(RandomBase.model_validate(args.settings["base"]), Path(args.manifest).parent)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--manifest", required=True)
    run(main, command)
