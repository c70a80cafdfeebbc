"""Raw uncertainties, scaled so that they hold on validation stars."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.calibration import calibrate
from starglot.tables import write_json, write_with_digest


def main(args: argparse.Namespace) -> None:
    predictions, report = calibrate(pq.read_table(args.val), pq.read_table(args.raw))
    write_json(report, args.report)
    write_with_digest(predictions, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--raw", required=True)
    command.add_argument("--val", required=True)
    command.add_argument("--out", required=True)
    command.add_argument("--report", required=True)
    run(main, command)
