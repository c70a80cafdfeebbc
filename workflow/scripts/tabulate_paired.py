"""Models against the best baseline on the same stars, of one task."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from starglot.cli import parser, run
from starglot.evaluation.paired import NOTES, by_seed, paired_table
from starglot.evaluation.tables_io import write_table


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = f"task {settings['name']}, {settings['release']}{' (a mock, not real stars)' if settings['mock'] else ''}"
    validation, judged = list(map(Path, args.validation)), list(map(Path, args.predictions))
    tables = pd.concat(
        [_of_size(size, validation, judged, settings) for size in settings["sizes"]], ignore_index=True
    )
    caption = f"Models against the best baseline, star by star: {of}."
    write_table(tables, Path(args.csv).with_suffix(""), caption, NOTES, objects=settings["objects"])


def _of_size(
    size: str, validation: Sequence[Path], judged: Sequence[Path], settings: Mapping[str, Any]
) -> pd.DataFrame:
    val, test = (by_seed([path for path in paths if path.parts[-2] == size]) for paths in (validation, judged))
    models, baselines = (
        {name: list(zip(val[name], test[name], strict=True)) for name in settings[which]}
        for which in ("models", "baselines")
    )
    labels = settings["task"]["question"]["labels"]
    return paired_table(models, baselines, labels, task=settings["name"], size=size)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--validation", nargs="+", required=True, help="raw predictions of the validation set")
    command.add_argument(
        "--predictions", nargs="+", required=True, help="those of the set that is judged, in the same order"
    )
    command.add_argument("--csv", required=True)
    run(main, command)
