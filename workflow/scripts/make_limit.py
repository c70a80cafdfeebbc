"""The information limit of a task's mock test spectra."""

import argparse

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.root import Mock
from starglot.mock.limit import limit_table
from starglot.tables import write_with_digest


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    sample = pq.read_table(args.sample)
    obsid = sample.filter(pc.equal(sample["split"], "test"))["obsid"].to_pylist()
    truth = pq.read_table(args.truth)
    low, high = settings["range"]
    write_with_digest(limit_table(truth, obsid, Mock.model_validate(settings["mock"]), (low, high)), args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--truth", required=True, help="what the mock release drew")
    command.add_argument("--out", required=True)
    run(main, command)
