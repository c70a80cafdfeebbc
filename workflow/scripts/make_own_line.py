"""Mock spectra in which one abundance changes at a time."""

import argparse

from starglot.cli import parser, run
from starglot.config.recipes import Recipe
from starglot.config.tasks import Task
from starglot.mock.own_line import own_line_tables
from starglot.spectra.shard import spectra_metadata
from starglot.surveys.index import write_index_of
from starglot.tables import write_parquet, write_with_digest


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    recipe = Recipe.model_validate(settings["recipe"])
    task = Task.model_validate(settings["task"])
    spectra, labels, sample = own_line_tables(task, recipe, settings["stars"], settings["seed"])
    write_with_digest(labels, args.labels)
    write_with_digest(sample, args.sample)
    write_parquet(spectra, args.spectra, metadata=spectra_metadata(recipe))
    write_index_of(args.spectra, args.index)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--spectra", required=True)
    command.add_argument("--index", required=True, help="index of the spectra's folder")
    command.add_argument("--labels", required=True)
    command.add_argument("--sample", required=True)
    run(main, command)
