"""A base in the shape of another one, with other weights or fewer layers."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.config.bases.random import LikeBase
from starglot.fingerprint import memory
from starglot.models.bases import describe
from starglot.tables import read_json
from starglot.training.random_base import make_like_base


def main(args: argparse.Namespace) -> None:
    settings = LikeBase.model_validate(args.settings["base"])
    about = describe(settings.base, memory(args.state), read_json(args.found).get("revision"))
    make_like_base(settings, about, Path(args.manifest).parent)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--found", required=True, help="what was found of that base, as JSON")
    command.add_argument("--state", required=True, help="folder of the memory of digests")
    command.add_argument("--manifest", required=True)
    run(main, command)
