"""The loss curve of one training: by step of a language model, by epoch of a network."""

import argparse
from pathlib import Path

from starglot.cli import parser, run
from starglot.plots.training import draw_curve
from starglot.tables import read_json


def main(args: argparse.Namespace) -> None:
    folder = Path(args.model).parent
    task, model, size = folder.parts[-3:]
    manifest = read_json(args.model)
    draw_curve(
        folder / "loss.csv",
        Path(args.png).with_suffix(""),
        title=f"{model}, {task}, {size}",
        val_loss=manifest["metrics"].get("val_loss"),
        kind=manifest["kind"],
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    run(main, command)
