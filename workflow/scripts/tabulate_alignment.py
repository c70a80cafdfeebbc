"""How well an aligned base finds a star in the other view, and how well it predicts the spectrum there."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.pairs import crossmodal, retrieval
from starglot.evaluation.pairs.tables import crossmodal_of, judged_pairs, retrieval_of
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import write_table
from starglot.models.encoders.aligned import load_aligned
from starglot.training.alignment import pair_spectra


def main(args: argparse.Namespace) -> None:
    settings, embedded = args.settings, pq.read_table(args.embeddings)
    spectra = pair_spectra(embedded, [Path(index) for index in args.indexes])
    pairs = judged_pairs(embedded, settings["views"], spectra)
    network = load_aligned(Path(args.base).parent)
    stars = f"{settings['name']}, test pairs, {stars_of(settings)}"
    write_table(
        retrieval_of(pairs),
        Path(args.retrieval).with_suffix(""),
        f"Similarity search across views ({stars}).",
        retrieval.NOTES,
    )
    write_table(
        crossmodal_of(pairs, network),
        Path(args.crossmodal).with_suffix(""),
        f"Spectra predicted from another view ({stars}).",
        crossmodal.NOTES,
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--base", required=True, help="manifest of the aligned base")
    command.add_argument("--embeddings", required=True, help="embeddings of the pairs")
    command.add_argument("--indexes", nargs=2, required=True, help="of the cleaned spectra, each in their folder")
    command.add_argument("--retrieval", required=True, help="table to write")
    command.add_argument("--crossmodal", required=True, help="table to write")
    run(main, command)
