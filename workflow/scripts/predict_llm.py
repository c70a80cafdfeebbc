"""Ask a language model about the spectra of one set."""

import argparse
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import ask_language_model_with, parser, run, use_threads
from starglot.config.kinds.llm import Llm
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.inference.predict import predict_llm
from starglot.samples.split import training_stars
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    settings, sample, labels = args.settings, pq.read_table(args.sample), pq.read_table(args.labels)
    task = Task.model_validate(settings["task"])
    rows = sample.filter(pc.equal(sample["split"], args.split)).select(["obsid", "star_id", "class"])
    truth = rows.join(labels.select(["obsid", *task.labels]), "obsid", join_type="left outer")
    predictions = predict_llm(
        Llm.model_validate(settings["model"]),
        task,
        Encoding.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        base=args.base,
        adapter_dir=Path(args.model).parent,
        qa_files=args.qa,
        truth=truth,
        seen_stars=training_stars(args.seen),
        state=args.state,
        code_hash=args.code_hash,
    )
    write_with_digest(predictions, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    ask_language_model_with(command)
    command.add_argument("--qa", nargs="+", required=True, help="questions of the set")
    run(main, command)
