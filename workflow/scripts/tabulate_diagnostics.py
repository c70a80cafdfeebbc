"""Calibration, error budget and tails of one task."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation import budget, tails, uncertainty
from starglot.evaluation.presentation import stars_of
from starglot.evaluation.tables_io import write_table
from starglot.labels import ATMOSPHERE_NAMES


def main(args: argparse.Namespace) -> None:
    settings, out = args.settings, Path(args.out)
    task, groups, labels = settings["name"], settings["groups"], settings["task"]["question"]["labels"]
    of, objects = f"task {task}, {stars_of(settings)}", settings["objects"]
    tables, calibrations, repeats = (
        {(path.parts[-3], path.parts[-2], path.name.split(".")[0]): path for path in map(Path, paths)}
        for paths in (args.predictions, args.calibrations, args.repeats)
    )
    facts = pq.read_table(args.labels)
    catalog = pq.read_table(args.catalog, columns=["obsid", "snr_r", *ATMOSPHERE_NAMES])

    quality = uncertainty.calibration_table(
        tables, labels, catalog, task=task, groups=groups, calibrations=calibrations
    )
    covered = uncertainty.coverage_notes(quality)
    title = f"Quality of the uncertainties: {of}."
    write_table(quality, out / f"calibration_{task}", title, covered, objects=objects)
    parts = budget.budget_table(tables, labels, facts, task=task, groups=groups, repeats=repeats)
    write_table(parts, out / f"budget_{task}", f"Error budget: {of}.", budget.NOTES, objects=objects)
    rare = tails.tails_table(tables, labels, catalog, task=task)
    write_table(rare, out / f"tails_{task}", f"Residuals in the tails: {of}.", objects=objects)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables of one task and set")
    command.add_argument("--calibrations", nargs="+", required=True, help="JSON beside each: how sigma was scaled")
    command.add_argument(
        "--repeats", nargs="*", default=[], help="raw predictions by models of other seeds and folds"
    )
    command.add_argument("--labels", required=True, help="the task's labels with their errors")
    command.add_argument("--catalog", required=True, help="candidates: S/N, Teff, log g, [Fe/H]")
    command.add_argument("--out", required=True, help="folder of the tables")
    run(main, command)
