"""An ensemble's values for a prediction set, from those of its members."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.kinds.baselines import Ensemble
from starglot.config.tasks import Task
from starglot.models.baselines.ensemble import combine
from starglot.tables import read_json, write_with_digest


def main(args: argparse.Namespace) -> None:
    predictions = combine(
        Ensemble.model_validate(args.settings["model"]),
        Task.model_validate(args.settings["task"]),
        read_json(args.model),
        [pq.read_table(path) for path in args.raw],
    )
    write_with_digest(predictions, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="manifest of the ensemble")
    command.add_argument("--raw", nargs="+", required=True, help="raw predictions of the set, by member")
    command.add_argument("--out", required=True)
    run(main, command)
