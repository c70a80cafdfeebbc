"""Planes of [alpha/Fe] and [Fe/H] by strategy, and their distance from the labels' plane."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer.planes import NOTES, mmd_table, plane_of, printed
from starglot.plots.transfer.planes import draw_abundance_planes


def main(args: argparse.Namespace) -> None:
    # .../predictions/{task}/{model}/{size}/{set}.parquet
    planes = {}
    for path in map(Path, args.predictions):
        task, model, size = path.parts[-4:-1]
        planes[task, model, size, path.stem] = plane_of(path)
    table = mmd_table(planes, args.settings["strategies"])
    title = f"Predicted abundances against their labels, as clouds ({stars_of(args.settings)})"
    write_table(table, Path(args.csv).with_suffix(""), f"{title}.", NOTES, printed(table))
    draw_abundance_planes(planes, table, Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
