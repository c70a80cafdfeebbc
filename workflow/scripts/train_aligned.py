"""Heads that bring two encoders together, trained on pairs of spectra of the same stars."""

import argparse
from pathlib import Path

from starglot.cli import parser, run, use_threads
from starglot.config.bases.aligned import AlignedBase
from starglot.config.recipes import Recipe
from starglot.training.alignment import train_aligned


def main(args: argparse.Namespace) -> None:
    use_threads(1)  # sums do not depend on how many cores there are
    settings = args.settings
    train_aligned(
        AlignedBase.model_validate(settings["base"]),
        settings["views"],
        [Recipe.model_validate(recipe) for recipe in settings["recipes"]],
        Path(args.pairs),
        [Path(index) for index in args.indexes],
        [Path(manifest).parent for manifest in args.encoders],
        Path(args.manifest).parent,
        Path(args.state),
        args.code_hash,
        script=Path(__file__),
        start=Path(args.continues).parent if args.continues else None,
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--pairs", required=True, help="table of pairs")
    command.add_argument("--indexes", nargs=2, required=True, help="of the cleaned spectra, each in their folder")
    command.add_argument("--encoders", nargs=2, required=True, help="manifests of the encoders of the two views")
    command.add_argument("--continues", nargs="?", help="manifest of the aligned base to go on from")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the name of finished work")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--manifest", required=True)
    run(main, command)
