"""How much worse trained models are on altered spectra of the same stars."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.degradation import Change, in_words
from starglot.evaluation.degradation import NOTES, degradation_table
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import write_table
from starglot.plots.degradation import draw_degradation


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = f"task {settings['name']}, {stars_of(settings)}"
    changes = [Change.model_validate(each) for each in settings["changes"]]
    names = {change.set: change.name for change in changes}
    altered: dict[tuple[str, str], dict[str, Path]] = {}
    for path in map(Path, args.predictions):
        altered.setdefault(_model_and_size(path), {})[names[path.stem]] = path
    table = degradation_table(
        altered,
        {_model_and_size(path): path for path in map(Path, args.unaltered)},
        settings["task"]["question"]["labels"],
        {names[path.parts[-2]]: pq.read_metadata(path).num_rows for path in map(Path, args.rejected)},
        task=settings["name"],
    )
    caption = f"Trained models on altered spectra of test stars: {of}."
    notes = [*NOTES, f"Changes: {in_words(changes)}."]
    write_table(table, Path(args.csv).with_suffix(""), caption, notes, objects=settings["objects"])
    draw_degradation(table, Path(args.png).with_suffix(""), f"Altered test spectra, {of.removeprefix('task ')}")


def _model_and_size(predictions: Path) -> tuple[str, str]:
    model, size = predictions.parts[-3:-1]
    return model, size


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables of the altered sets")
    command.add_argument("--unaltered", nargs="+", required=True, help="prediction tables of the test split")
    command.add_argument("--rejected", nargs="+", required=True, help="what cleaning refused, by altered set")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
