"""Residual statistics and the headline of one task."""

from pathlib import Path

from starglot.cli import parser, run
from starglot.evaluation.residuals import residual_table
from starglot.evaluation.summary import headline_table
from starglot.evaluation.tables_io import write_table


def main(args):
    settings = args.settings
    of = f"task {settings['name']}, {settings['release']}{' (a mock, not real stars)' if settings['mock'] else ''}"
    tables = {(path.parts[-3], path.parts[-2], path.stem): path for path in map(Path, args.predictions)}
    residuals = residual_table(tables, settings["task"]["labels"], task=settings["name"])
    write_table(residuals, Path(args.residuals).with_suffix(""), f"Residuals, predicted minus catalogue: {of}.")
    write_table(headline_table(residuals), Path(args.headline).with_suffix(""), f"Scores by model and label: {of}.")


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--predictions", nargs="+", required=True, help="prediction tables of one task")
    command.add_argument("--residuals", required=True)
    command.add_argument("--headline", required=True)
    run(main, command)
