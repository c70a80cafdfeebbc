"""Embeddings of all pairs by an aligned base."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.models.baselines.reading import use_device
from starglot.models.encoders.aligned import ALIGNED
from starglot.models.encoders.pairs import embed_pairs
from starglot.tables import read_json, write_with_digest
from starglot.training.alignment import pair_spectra


def main(args: argparse.Namespace) -> None:
    pairs = pq.read_table(args.pairs)
    spectra = pair_spectra(pairs, [Path(index) for index in args.indexes])
    table = embed_pairs(Path(args.base).parent, pairs, spectra, use_device(args.settings["gpus"]))
    weights = read_json(args.base)["files"][ALIGNED]
    write_with_digest(table, args.out, {"views": args.settings["views"], "weights": weights})


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--base", required=True, help="manifest of the aligned base")
    command.add_argument("--pairs", required=True, help="table of pairs")
    command.add_argument("--indexes", nargs=2, required=True, help="of the cleaned spectra, each in their folder")
    command.add_argument("--out", required=True)
    run(main, command)
