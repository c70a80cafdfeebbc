"""A language model that is taught, without labels, to fill in hidden patches of a view's spectra."""

import argparse
from pathlib import Path

from starglot.cli import parser, run, use_threads
from starglot.config.bases.masked_patches import MaskedPatchesBase
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.root import Split
from starglot.fingerprint import memory
from starglot.models.bases import describe
from starglot.tables import read_json
from starglot.training.masked_patches import train_masked_patches


def main(args: argparse.Namespace) -> None:
    use_threads(1)  # sums do not depend on how many cores there are
    settings = args.settings
    train_masked_patches(
        MaskedPatchesBase.model_validate(settings["base"]),
        Patches.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        Path(args.index),
        Split.model_validate(settings["split"]),
        settings["seed"],
        describe(args.base, memory(args.state), read_json(args.found).get("revision")),
        Path(args.manifest).parent,
        Path(args.state),
        args.code_hash,
        script=Path(__file__),
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--index", required=True, help="index of the view's cleaned spectra, in their folder")
    command.add_argument("--base", required=True, help="folder or Hugging Face id of the language model")
    command.add_argument("--found", required=True, help="what was found of it, as JSON")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the name of finished work")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--manifest", required=True)
    run(main, command)
