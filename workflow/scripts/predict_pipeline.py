"""A survey's own labels for a prediction set."""

import argparse

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.tasks import Task
from starglot.models.baselines.pipeline import read_pipeline
from starglot.models.baselines.predict import predict
from starglot.samples.split import training_stars
from starglot.tables import read_json, write_with_digest


def main(args: argparse.Namespace) -> None:
    task, fitted, catalog = (
        Task.model_validate(args.settings["task"]),
        read_json(args.model),
        pq.read_table(args.catalog),
    )
    sample = pq.read_table(args.sample)
    chosen = sample.filter(pc.equal(sample["split"], args.split))
    table = predict(
        lambda rows: read_pipeline(task, fitted, rows, catalog),
        task,
        chosen,
        pq.read_table(args.labels),
        training_stars(args.seen),
    )
    write_with_digest(table, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--sample", required=True)
    command.add_argument("--split", required=True)
    command.add_argument("--labels", required=True, help="true labels")
    command.add_argument("--seen", nargs="+", required=True, help="samples whose training stars the model has seen")
    command.add_argument("--catalog", required=True, help="selected rows of the spectra's own survey")
    command.add_argument("--out", required=True)
    run(main, command)
