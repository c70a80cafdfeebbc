"""Loss landscapes of networks that were carried over, by strategy."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import label_text, stars_of
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer.explained import (
    LANDSCAPE_COLUMNS,
    LANDSCAPE_NOTES,
    explained_arguments,
    landscapes,
    open_all,
    table_of,
)
from starglot.plots.transfer.landscapes import draw_landscapes


def main(args: argparse.Namespace) -> None:
    label, of = args.settings["label"], stars_of(args.settings)
    rows, losses = [], {}
    for opened in open_all(args.settings, args.models, args.sample, args.labels, args.index):
        mine, losses[opened.model] = landscapes(opened, label)
        rows += mine
    counts = {row["stars"]: row["n"] for row in rows}
    title = f"Loss of {label_text(label)} about what was learnt ({of})"
    write_table(table_of(rows, LANDSCAPE_COLUMNS), Path(args.csv).with_suffix(""), f"{title}.", LANDSCAPE_NOTES)
    draw_landscapes(losses, counts, Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    run(main, explained_arguments(parser(__doc__)))
