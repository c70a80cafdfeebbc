"""Models carried over, by number of training spectra: the papers' tables by name, and curves."""

import argparse
from collections import defaultdict
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.names import read_name
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import write_table
from starglot.evaluation.transfer.sizes import CAPTIONS, NOTES, Carried, named_table, sizes_table
from starglot.evaluation.transfer.tables import SPECTRA
from starglot.plots.transfer.sizes import draw_sizes


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    # .../samples/{task}/{size}.parquet and .../predictions/{task}/{model}/{size}/{set}.raw.parquet
    counts = {}
    for path in map(Path, args.samples):
        split = pq.read_table(path, columns=["split"])["split"]
        counts[path.parts[-2], path.stem] = pc.sum(pc.equal(split, "train")).as_py()
    seeds = defaultdict(list)
    for path in map(Path, args.predictions):
        task, model, size = path.parts[-4:-1]
        seeds[task, read_name(model).model, size].append(path)
    carried = [
        Carried(task, model, strategy, settings["bases"].get(model, SPECTRA), counts[task, size], paths)
        for (task, model, size), paths in seeds.items()
        if (strategy := settings["strategies"].get(model))
    ]
    of = stars_of(settings)
    ours = sizes_table(carried)
    for path in map(Path, args.csv):
        write_table(named_table(path.stem, ours), path.with_suffix(""), f"{CAPTIONS[path.stem]} ({of}).", NOTES)
    draw_sizes(ours, Path(args.png).with_suffix(""), f"Models carried to another survey ({of})")


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="raw predictions of the common test sets")
    command.add_argument("--samples", nargs="+", required=True, help="samples of all sizes")
    command.add_argument("--csv", nargs="+", required=True, help="tables, by the papers' names")
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
