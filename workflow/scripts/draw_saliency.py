"""What networks that were carried over look at, by strategy: the sensitivity of a label to flux, at rest."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.presentation import label_text, stars_of
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer.explained import (
    SALIENCY_COLUMNS,
    SALIENCY_NOTES,
    explained_arguments,
    open_all,
    sensitivities,
    table_of,
)
from starglot.plots.transfer.saliency import draw_saliency


def main(args: argparse.Namespace) -> None:
    label, of = args.settings["label"], stars_of(args.settings)
    catalog, sample = pq.read_table(args.catalog), pq.read_table(args.sample)
    rows, found = [], {}
    for opened in open_all(args.settings, args.models, args.sample, args.labels, args.index):
        mine, found[opened.model] = sensitivities(opened, label, catalog, sample)
        rows += mine
    title = f"Sensitivity of {label_text(label)} to flux ({of})"
    write_table(table_of(rows, SALIENCY_COLUMNS), Path(args.csv).with_suffix(""), f"{title}.", SALIENCY_NOTES)
    draw_saliency(found, label, Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    command = explained_arguments(parser(__doc__))
    command.add_argument("--catalog", required=True, help="selected catalogue rows, with velocities")
    run(main, command)
