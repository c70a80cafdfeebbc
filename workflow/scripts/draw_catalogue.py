"""The page of a catalogue of ours: counts, Kiel diagram, repeated spectra, the survey's own labels."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.report.catalogue import build_page


def main(args: argparse.Namespace) -> None:
    build_page(Path(args.catalogue), Path(args.candidates), Path(args.out), **args.settings)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--catalogue", required=True, help="Parquet")
    command.add_argument("--candidates", required=True, help="the survey's rows, with its own labels")
    command.add_argument("--out", required=True)
    run(main, command)
