"""Redshifts: figures of merit of every model, failures among the surest answers, predicted against true ones."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.redshifts import NOTES, SURE_NOTES, completeness_table, redshift_table
from starglot.evaluation.tables_io import write_table
from starglot.plots.redshifts import draw_completeness, draw_redshifts


def main(args: argparse.Namespace) -> None:
    # .../predictions/{task}/{model}/{size}/{set}.parquet
    tables = {}
    for path in map(Path, args.predictions):
        task, model, size = path.parts[-4:-1]
        tables[task, model, size, path.stem] = path
    of, objects = stars_of(args.settings), args.settings["objects"]
    title = f"Redshifts: {of}"
    csv, png = Path(args.csv).with_suffix(""), Path(args.png).with_suffix("")
    write_table(redshift_table(tables), csv, f"{title}.", NOTES, objects=objects)
    draw_redshifts(tables, png, title)
    sure = f"Redshifts, failures among the surest answers: {of}"
    sure_csv, sure_png = Path(args.sure_csv).with_suffix(""), Path(args.sure_png).with_suffix("")
    write_table(completeness_table(tables), sure_csv, f"{sure}.", SURE_NOTES, objects=objects)
    draw_completeness(tables, sure_png, sure)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    command.add_argument("--sure-csv", required=True, help="table of failures among the surest answers")
    command.add_argument("--sure-png", required=True, help="figure of the same")
    run(main, command)
