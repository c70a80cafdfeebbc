"""An encoder of spectra, pre-trained without labels on those of a view."""

import argparse
from pathlib import Path
from typing import cast

from starglot.cli import parser, run, use_threads
from starglot.config.bases.encoders import EncoderBase
from starglot.config.kinds.registry import BASES
from starglot.config.recipes import Recipe
from starglot.config.root import Split
from starglot.training.encoders import train_encoder


def main(args: argparse.Namespace) -> None:
    use_threads(1)  # sums do not depend on how many cores there are
    settings = args.settings
    train_encoder(
        cast(EncoderBase, BASES[settings["base"]["kind"]].model_validate(settings["base"])),
        Recipe.model_validate(settings["recipe"]),
        Path(args.index),
        Split.model_validate(settings["split"]),
        settings["seed"],
        Path(args.manifest).parent,
        Path(args.state),
        args.code_hash,
        script=Path(__file__),
        start=Path(args.continues).parent if args.continues else None,
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--index", required=True, help="index of the view's cleaned spectra, in their folder")
    command.add_argument("--continues", nargs="?", help="manifest of the encoder to go on from")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the name of finished work")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--manifest", required=True)
    run(main, command)
