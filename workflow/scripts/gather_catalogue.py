"""The shards of a catalogue as one table, by obsid: Parquet and FITS."""

import argparse
import logging
from pathlib import Path

from starglot.cli import parser, run
from starglot.inference.catalogue import catalogue_facts
from starglot.inference.gather import gather
from starglot.tables import digest_path, write_digests


def main(args: argparse.Namespace) -> None:
    listed = Path(args.shards).read_text(encoding="utf-8").split()
    parts = [Path(args.parts) / f"{shard}.parquet" for shard in listed]
    facts = catalogue_facts(Path(args.model).parent, args.survey, args.settings["release"])
    outs = [Path(args.parquet), Path(args.fits)]
    counts = gather(parts, facts, outs, key="obsid")
    write_digests(outs, digest_path(args.parquet))
    logging.info("%d rows, %d of them answered", counts["rows"], counts["answered"])


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="model.json of the model")
    command.add_argument("--survey", required=True)
    command.add_argument("--shards", required=True, help="the survey's shards, one a line")
    command.add_argument("--parts", required=True, help="folder of the shards' answers")
    command.add_argument("--parquet", required=True)
    command.add_argument("--fits", required=True)
    run(main, command)
