"""Residual statistics and the headline of one task."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.partial import partial_table
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.residuals import residual_table
from starglot.evaluation.summary import headline_table
from starglot.evaluation.tables_io import write_table
from starglot.labels import ATMOSPHERE_NAMES


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = f"task {settings['name']}, {stars_of(settings)}"
    tables = {(path.parts[-3], path.parts[-2], path.stem): path for path in map(Path, args.predictions)}
    residuals = residual_table(
        tables,
        settings["task"]["question"]["labels"],
        task=settings["name"],
        groups=settings["groups"],
        unseen_by_all=not args.headline,
    )
    stem, objects = Path(args.residuals).with_suffix(""), settings["objects"]
    if args.headline:
        write_table(residuals, stem, f"Residuals, predicted minus catalogue: {of}.", objects=objects)
        headline = headline_table(residuals)
        if args.catalog:
            catalog = pq.read_table(args.catalog, columns=["obsid", *ATMOSPHERE_NAMES])
            partial = partial_table(tables, settings["task"]["question"]["labels"], catalog)
            headline = headline.merge(partial, how="left", on=["model", "size", "set", "label"])
        scores = Path(args.headline).with_suffix("")
        write_table(headline, scores, f"Scores by model and label: {of}.", objects=objects)
    else:
        caption = f"Residuals against external surveys, predicted minus their label: {of}."
        write_table(residuals, stem, caption, objects=objects)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables of one task")
    command.add_argument("--residuals", required=True)
    command.add_argument("--headline", help="scores side by side; without it the predictions are of external sets")
    command.add_argument("--catalog", nargs="?", help="candidates: Teff, log g, [Fe/H], for the skill beyond them")
    run(main, command)
