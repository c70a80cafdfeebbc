"""QLoRA fine-tuning of one model at one task and size."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run, train_language_model_with, use_threads
from starglot.config.kinds.llm import Llm
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.fingerprint import memory
from starglot.hashing import file_digest, manifest_digest
from starglot.models.bases import describe
from starglot.surveys.index import cleaned_spectra
from starglot.tables import read_json
from starglot.training.finetune import finetune


def main(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    settings = args.settings
    train, val = [Path(p) for p in args.train], [Path(p) for p in args.val]
    found = read_json(args.found) if args.found else {}
    base = describe(args.base, memory(args.state), found.get("revision"))
    finetune(
        Llm.model_validate(settings["model"]),
        Task.model_validate(settings["task"]),
        Encoding.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        size=args.size,
        base=base,
        init_adapter=Path(args.continues).parent if args.continues else None,
        qa_train=train,
        qa_val=val,
        spectra=cleaned_spectra(pq.read_table(args.labels, columns=["obsid", "shard"]), args.index),
        out=Path(args.manifest).parent,
        state=Path(args.state),
        ingredients={
            "settings": settings,
            "size": args.size,
            "code": args.code_hash,
            # They stand for the spectra, too: of a spectrum no more is seen than its question says (Codec.values).
            "questions": {path.name: file_digest(path) for path in [*train, *val]},
            "base": base["digest"],
            "start": manifest_digest(args.continues) if args.continues else None,
        },
        script=Path(__file__),
    )


if __name__ == "__main__":
    command = parser(__doc__)
    train_language_model_with(command)
    command.add_argument("--train", nargs="+", required=True, help="training questions and answers")
    command.add_argument("--val", nargs="+", required=True, help="validation questions and answers")
    run(main, command)
