"""A model with one setting varied at a time, as a table and a figure."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.sweeps.ablation import NOTES, REDSHIFT_NOTE, Training, ablation_table
from starglot.evaluation.tables_io import write_table
from starglot.labels import REDSHIFT
from starglot.plots.ablation import draw_ablation
from starglot.tables import read_json


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    trainings = [
        Training(one["size"], one["varied"], one["values"], predictions, read_json(manifest))
        for one, predictions, manifest in zip(settings["trials"], args.predictions, args.models, strict=True)
    ]
    labels, task = settings["task"]["question"]["labels"], settings["name"]
    table = ablation_table(trainings, labels, task=task)
    of = f"{settings['model']}, task {task}, {stars_of(settings)}"
    test_set = f"Tried on the test split of size {settings['test_size']}."
    notes = [test_set, *NOTES, *([REDSHIFT_NOTE] if REDSHIFT.name in labels else [])]
    title = f"Settings varied one at a time: {of}"
    write_table(table, Path(args.csv).with_suffix(""), f"{title}.", notes, objects=settings["objects"])
    draw_ablation(trainings, table, Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="raw predictions of the common test set")
    command.add_argument("--models", nargs="+", required=True, help="manifests of the models, in the same order")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
