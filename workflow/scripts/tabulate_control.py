"""What pre-training brings: language models of one task against their controls, as a table and a figure."""

import argparse
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.presentation import said_of
from starglot.evaluation.sweeps.control import NOTES, control_table
from starglot.evaluation.sweeps.points import Trained
from starglot.evaluation.tables_io import write_table
from starglot.plots.control import draw_control
from starglot.tables import read_json


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    counts = {}
    for path in args.samples:
        split = pq.read_table(path, columns=["split"])["split"]
        counts[Path(path).stem] = pc.sum(pc.equal(split, "train")).as_py()
    models = []
    for predictions, manifest in zip(args.predictions, args.models, strict=True):
        name, size = Path(manifest).parts[-3:-1]
        models.append(Trained(name, size, predictions, read_json(manifest), counts[size]))
    task = settings["name"]
    table = control_table(models, settings["control"], settings["task"]["question"]["labels"], task=task)
    of = f"task {task}, {settings['release']}{' (a mock, not real stars)' if settings['mock'] else ''}"
    test_set = f"Tried on the test split of size {settings['test_size']}."
    stem = Path(args.csv).with_suffix("")
    write_table(table, stem, f"What pre-training brings: {of}.", [test_set, *NOTES], objects=settings["objects"])
    draw_control(
        table,
        Path(args.png).with_suffix(""),
        f"What pre-training brings, {task}",
        said_of(settings["objects"], f"{test_set} Bars: 95 %, over stars and seeds. {of[0].upper()}{of[1:]}."),
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="raw predictions of the common test set")
    command.add_argument("--models", nargs="+", required=True, help="manifests of the models, in the same order")
    command.add_argument("--samples", nargs="+", required=True, help="samples of all sizes")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
