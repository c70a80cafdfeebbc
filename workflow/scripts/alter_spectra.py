"""Test spectra of one task, altered in one way: a prediction set of its own."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.degradation import Change
from starglot.config.recipes import Recipe
from starglot.samples.altered import alter_test_spectra
from starglot.spectra.shard import spectra_metadata
from starglot.surveys.index import require_shards, write_index_of
from starglot.tables import write_parquet, write_with_digest


def main(args: argparse.Namespace) -> None:
    settings, folder = args.settings, Path(args.index).parent
    require_shards(args.index, folder)
    recipe = Recipe.model_validate(settings["recipe"])
    altered = alter_test_spectra(
        pq.read_table(args.sample),
        pq.read_table(args.labels),
        lambda shard: folder / f"{shard}.parquet",
        recipe,
        Change.model_validate(settings["change"]),
        native=settings["resolution"],
        limit=settings["limit"],
        seed=settings["seed"],
        name=Path(args.spectra).stem,
    )
    write_with_digest(altered.labels, args.out_labels)
    write_with_digest(altered.sample, args.out_sample)
    write_parquet(altered.rejected, args.rejected)
    write_parquet(altered.spectra, args.spectra, metadata=spectra_metadata(recipe))
    write_index_of(args.spectra, args.out_index)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True, help="its test split is altered")
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--spectra", required=True, help="the altered spectra; the file's name is the set's")
    command.add_argument("--rejected", required=True, help="what cleaning refuses after the change")
    command.add_argument("--out-index", required=True, help="index of the altered spectra's folder")
    command.add_argument("--out-labels", required=True)
    command.add_argument("--out-sample", required=True)
    run(main, command)
