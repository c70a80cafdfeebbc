"""The spectra that are predicted for an external survey."""

import argparse

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.root import Split
from starglot.samples.external import draw_external
from starglot.tables import write_json, write_with_digest


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    sample, manifest = draw_external(
        pq.read_table(args.labels),
        args.survey,
        settings["limit"],
        Split.model_validate(settings["split"]),
        settings["seed"],
        settings["by_class"],
    )
    write_json(manifest, args.manifest)
    write_with_digest(sample, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--labels", required=True, help="the survey's labels of cleaned spectra")
    command.add_argument("--survey", required=True)
    command.add_argument("--out", required=True)
    command.add_argument("--manifest", required=True)
    run(main, command)
