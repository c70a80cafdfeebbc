"""How errors fall with training data: points, laws and their figure, of one task."""

import argparse
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.sweeps.points import Trained
from starglot.evaluation.sweeps.scaling import LAW_NOTES, notes, scaling_tables
from starglot.evaluation.tables_io import write_table
from starglot.plots.scaling import draw_scaling
from starglot.tables import read_json


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    task, sweep = settings["name"], settings["scaling"]
    sizes = {Path(path).stem: path for path in args.samples}
    counts = {size: _training_spectra(path) for size, path in sizes.items()}
    models = []
    for predictions, manifest in zip(args.predictions, args.models, strict=True):
        name, size = Path(manifest).parts[-3:-1]
        models.append(Trained(name, size, predictions, read_json(manifest), counts[size]))
    points, laws = scaling_tables(
        models,
        settings["task"]["question"]["labels"],
        task=task,
        statistic=sweep["statistic"],
        extrapolate=sweep["extrapolate"],
    )
    of = f"task {task}, {stars_of(settings)}"
    test_set = f"the test split of size {settings['test_size']}"
    said = notes(sweep["statistic"], test_set)
    as_text = {"passes": lambda frame: frame["passes"].map("{:g}".format, na_action="ignore")}
    write_table(
        points.assign(**as_text),
        Path(args.points).with_suffix(""),
        f"Scatter by number of training spectra: {of}.",
        said,
        objects=settings["objects"],
    )
    write_table(
        laws.assign(**as_text),
        Path(args.laws).with_suffix(""),
        f"Scaling laws: {of}.",
        [*said, *LAW_NOTES],
        objects=settings["objects"],
    )
    below = (
        f"Tried on {test_set}; bars: 95 %. Whole lines: power law, with its extrapolation. Dotted: fitted, but no "
        f"power law is shown\n(the table says why). Open marks: fewer passes. {of[0].upper()}{of[1:]}."
    )
    draw_scaling(points, laws, Path(args.png).with_suffix(""), f"Scaling with training data, {task}", below)


def _training_spectra(sample: str) -> int:
    split = pq.read_table(sample, columns=["split"])["split"]
    spectra: int = pc.sum(pc.equal(split, "train")).as_py()
    return spectra


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="raw predictions of the common test set")
    command.add_argument("--models", nargs="+", required=True, help="manifests of the models, in the same order")
    command.add_argument("--samples", nargs="+", required=True, help="samples of all sizes")
    command.add_argument("--points", required=True, help="CSV of the points")
    command.add_argument("--laws", required=True, help="CSV of the laws")
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
