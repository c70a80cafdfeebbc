"""Models carried over, by trained parameters and by learning rate: a table and a figure."""

import argparse
from collections import defaultdict
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.names import read_name
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer.parameters import CAPTION, NOTES, Training, parameters_table
from starglot.evaluation.transfer.sizes import Carried, sizes_table
from starglot.evaluation.transfer.tables import SPECTRA
from starglot.plots.transfer.parameters import draw_parameters
from starglot.tables import read_json


def main(args: argparse.Namespace) -> None:
    settings, paths, trainings = args.settings, defaultdict(list), {}
    split = pq.read_table(args.sample, columns=["split"])["split"]
    n_train = pc.sum(pc.equal(split, "train")).as_py()
    # .../predictions/{task}/{model}/{size}/{set}.raw.parquet and .../models/{task}/{model}/{size}/manifest.json
    for path in map(Path, args.predictions):
        paths[read_name(path.parts[-3]).model].append(path)
    for path in map(Path, args.models):
        about = read_json(path)
        if "training" in about["model"]:
            rate = about["model"]["training"]["learning_rate"]
            trainings[read_name(path.parts[-3]).model] = Training(about["counts"]["trainable_parameters"], rate)
    carried = [
        Carried(settings["task"], model, strategy, settings["bases"].get(model, SPECTRA), n_train, mine)
        for model, mine in paths.items()
        if (strategy := settings["strategies"].get(model))
    ]
    table = parameters_table(sizes_table(carried), trainings)
    title = f"{CAPTION} ({stars_of(settings)})"
    write_table(table, Path(args.csv).with_suffix(""), f"{title}.", NOTES)
    draw_parameters(table, Path(args.png).with_suffix(""), title)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="raw predictions of the common test set")
    command.add_argument("--models", nargs="+", required=True, help="manifests of these models")
    command.add_argument("--sample", required=True, help="sample that they learnt from")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
