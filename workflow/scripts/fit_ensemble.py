"""Weights of an ensemble's members, from their predictions of validation stars."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.kinds.baselines import Ensemble
from starglot.config.tasks import Task
from starglot.hashing import file_digest
from starglot.models.baselines.ensemble import fit_ensemble
from starglot.tables import write_json


def main(args: argparse.Namespace) -> None:
    settings = Ensemble.model_validate(args.settings["model"])
    task = Task.model_validate(args.settings["task"])
    fitted = fit_ensemble(settings, task, [pq.read_table(path) for path in args.val])
    about = {"kind": settings.kind, "task": task.model_dump(), "model": settings.model_dump()}
    inputs = {member: file_digest(path) for member, path in zip(settings.members, args.val, strict=True)}
    write_json({**about, "inputs": inputs, **fitted}, args.manifest)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--val", nargs="+", required=True, help="raw predictions of validation stars, by member")
    command.add_argument("--manifest", required=True)
    run(main, command)
