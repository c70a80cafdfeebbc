"""A base for demonstrations, pre-trained without labels."""

import argparse
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq

from starglot.cli import parser, run, use_threads
from starglot.config.bases.tiny import LanguageBase
from starglot.config.kinds.registry import BASES
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.hashing import file_digest
from starglot.surveys.index import cleaned_spectra
from starglot.training.pretrain import build_base


def main(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    settings = args.settings
    questions = [Path(p) for p in args.qa]
    build_base(
        cast(LanguageBase, BASES[settings["base"]["kind"]].model_validate(settings["base"])),
        Task.model_validate(settings["task"]),
        Encoding.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        settings["decimals"],
        qa_train=questions,
        spectra=cleaned_spectra(pq.read_table(args.labels, columns=["obsid", "shard"]), args.index),
        out=Path(args.manifest).parent,
        state=Path(args.state),
        ingredients={
            "settings": settings,
            "code": args.code_hash,
            # They stand for the spectra, too: of a spectrum no more is seen than its question says (Codec.values).
            "questions": {path.name: file_digest(path) for path in questions},
        },
        script=Path(__file__),
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--qa", nargs="+", required=True, help="training questions; their answers stay unread")
    command.add_argument("--labels", required=True, help="which shard each spectrum is in")
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of the name of finished work")
    command.add_argument("--state", required=True, help="folder of checkpoints and finished work")
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--manifest", required=True)
    run(main, command)
