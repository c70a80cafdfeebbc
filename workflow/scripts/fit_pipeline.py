"""Lines from a survey's own labels to those of a task."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.kinds.pipeline import Pipeline
from starglot.config.tasks import Task
from starglot.hashing import file_digest
from starglot.models.baselines.pipeline import fit_pipeline
from starglot.tables import write_json


def main(args: argparse.Namespace) -> None:
    settings = Pipeline.model_validate(args.settings["model"])
    task = Task.model_validate(args.settings["task"])
    files = {"sample": args.sample, "labels": args.labels, "catalog": args.catalog}
    fitted = fit_pipeline(settings, task, *(pq.read_table(path) for path in files.values()))
    about = {"kind": settings.kind, "task": task.model_dump(), "model": settings.model_dump()}
    write_json(
        {**about, "inputs": {name: file_digest(path) for name, path in files.items()}, **fitted}, args.manifest
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True, help="true labels")
    command.add_argument("--catalog", required=True, help="selected rows of the spectra's own survey")
    command.add_argument("--manifest", required=True)
    run(main, command)
