"""All that an answer of a trained model needs, and the card that tells of it, written into its folder."""

import argparse
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.evaluation.calibration import fitted_scales
from starglot.evaluation.class_probability import fit_probability
from starglot.inference.card import write_card
from starglot.models.domain import DOMAIN
from starglot.models.folder import describe_model, read_description
from starglot.tables import atomic_path


def main(args: argparse.Namespace) -> None:
    folder = Path(args.model).parent
    with atomic_path(folder / DOMAIN) as partial:
        shutil.copyfile(args.domain, partial)
    val = pq.read_table(args.val)
    describe_model(folder, args.settings, fitted_scales(val), fit_probability(val))
    write_card(folder, read_description(folder), {"val": Path(args.val)})


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--val", required=True, help="raw predictions of validation stars")
    command.add_argument("--domain", required=True, help="what the training spectra of its sample look like")
    run(main, command)
