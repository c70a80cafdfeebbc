"""Figures that show where a model errs: trends, repeat visits, calibration, worst spectra, planes, classes."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.residuals import read_predictions
from starglot.labels import ATMOSPHERE_NAMES
from starglot.plots.calibration import draw_calibration
from starglot.plots.confusion import draw_confusion
from starglot.plots.planes import draw_planes
from starglot.plots.repeats import draw_repeats
from starglot.plots.trends import draw_trends
from starglot.plots.worst import draw_worst
from starglot.surveys.index import require_shards


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = f"{settings['name']}, {stars_of(settings)}"
    title = f"{args.model}, trained on {args.size}, set {args.set}: {of}"
    labels = settings["task"]["question"]["labels"]
    predictions = read_predictions(args.predictions)
    catalog = pq.read_table(args.catalog, columns=["obsid", "snr_r", *ATMOSPHERE_NAMES])
    folder = Path(args.index).parent
    spectra = [folder / f"{shard}.parquet" for shard in require_shards(args.index, folder)]
    for png in args.png:
        stem = Path(png).with_suffix("")
        kind = stem.name.partition("_")[0]
        if kind == "trends":
            draw_trends(predictions, catalog, stem, title, labels)
        elif kind == "repeats":
            draw_repeats(predictions, catalog, stem, title, labels)
        elif kind == "calibration":
            draw_calibration(predictions, stem, title, labels)
        elif kind == "worst":
            draw_worst(predictions, catalog, spectra, stem, title, labels)
        elif kind == "planes":
            draw_planes(predictions, catalog, stem, title, labels)
        else:
            draw_confusion(predictions, stem, title)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", required=True)
    command.add_argument("--catalog", required=True, help="candidates: S/N, Teff, log g, [Fe/H]")
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--model", required=True)
    command.add_argument("--size", required=True)
    command.add_argument("--set", required=True)
    command.add_argument("--png", nargs="+", required=True, help="figures by name; an .svg comes beside each")
    run(main, command)
