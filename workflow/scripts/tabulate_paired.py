"""Models against the best baseline on the same stars, of one task."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from starglot.cli import parser, run
from starglot.config.degradation import Change, in_words
from starglot.evaluation.paired import NOTES, by_seed, paired_table
from starglot.evaluation.tables_io import write_table


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    of = f"task {settings['name']}, {settings['release']}{' (a mock, not real stars)' if settings['mock'] else ''}"
    validation, judged = list(map(Path, args.validation)), list(map(Path, args.predictions))
    tables = [
        _of_set(size, file, validation, judged, settings)
        for size in settings["sizes"]
        for file in dict.fromkeys(path.name for path in judged if path.parts[-2] == size)
    ]
    changes = [Change.model_validate(each) for each in settings.get("changes", [])]
    caption = f"Models against the best baseline{' on altered spectra' if changes else ''}, star by star: {of}."
    notes = [*NOTES, *([f"Changes: {in_words(changes)}."] if changes else [])]
    table = pd.concat(tables, ignore_index=True)
    write_table(table, Path(args.csv).with_suffix(""), caption, notes, objects=settings["objects"])


def _of_set(
    size: str, file: str, validation: Sequence[Path], judged: Sequence[Path], settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The comparison at one size, on one set: predictions for it are in files of this name."""
    val = by_seed([path for path in validation if path.parts[-2] == size])
    test = by_seed([path for path in judged if path.parts[-2] == size and path.name == file])
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
        "--predictions", nargs="+", required=True, help="those of the sets that are judged, each in the same order"
    )
    command.add_argument("--csv", required=True)
    run(main, command)
